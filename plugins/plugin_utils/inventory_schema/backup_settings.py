"""The inventory variables of backups, and what must hold between the hosts that write and hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, model_validator

from .explain import model_problems
from .fleet_settings import resolved_address
from .hosts import HostView, without_address
from .mistakes import MistakeError, Problem, merge
from .model import Schedule, Strict, key

PASSPHRASE_MIN_LENGTH = 16
_BEFORE = "backup_before_migrate"
_KEEPER = "put the host that holds the backups into it, see docs/backup.md, or remove the key"
_PASSPHRASE = 'backup_passphrase: "{{ vault_backup_passphrase }}"'
_MAKE_ONE = "with what `openssl rand -base64 24` prints in a vault, and on paper, see docs/backup.md"


def passphrase(value: str) -> str:
    """A passphrase that nobody guesses."""
    if len(value) < PASSPHRASE_MIN_LENGTH or value != value.strip() or "\n" in value:
        raise MistakeError(
            f"is shorter than {PASSPHRASE_MIN_LENGTH} characters, or has space around it",
            f"write {_PASSPHRASE}, {_MAKE_ONE}",
        )
    return value


class Keep(Strict):
    """How many backups of each app are kept: of so many hours, days, weeks, months and years the last one."""

    hourly: int = key("Of hours.", "number", 24, 0, ge=0)
    daily: int = key("Of days.", "number", 7, 0, ge=0)
    weekly: int = key("Of weeks.", "number", 4, 0, ge=0)
    monthly: int = key("Of months.", "number", 6, 0, ge=0)
    yearly: int = key("Of years.", "number", 2, 0, ge=0)

    @model_validator(mode="after")
    def _something(self) -> Keep:
        if not any(self.model_dump().values()):
            raise MistakeError(
                "would keep nothing", "write how many, as in backup_keep: {daily: 7, weekly: 4, monthly: 6}"
            )
        return self


class Backup(Strict):
    """Variables of backups, with a host in the group `backup`. See [backup.md](backup.md)."""

    backup_passphrase: Annotated[str, AfterValidator(passphrase)] = key(
        "Opens the repositories. Keep it in a vault, and somewhere else: without it no backup can be read.",
        "text",
        "{{ vault_backup_passphrase }}",
    )
    backup_schedule: Schedule = key(
        "When apps and PostgreSQL are saved, as systemd's `OnCalendar=`.",
        "calendar expression",
        "*-*-* 03:30",
        "daily",
    )
    backup_wal_schedule: Schedule = key(
        "When the WAL of PostgreSQL is brought to the backup host: what a lost database host may cost.",
        "calendar expression",
        "*:0/15",
        "*:0/5",
    )
    backup_wal_max_age_minutes: float = key(
        "Age of the WAL on the backup host above which `status.yml` fails.", "number of minutes", 60, 30, ge=2
    )
    backup_postgresql_weeks: int = key(
        "Weeks of which a database host can restore each moment by itself.",
        "number",
        4,
        1,
        ge=1,
    )
    backup_keep: Keep = key(
        "How many backups of each app are kept, by `hourly`, `daily`, `weekly`, `monthly` and `yearly`.",
        "mapping",
        {"daily": 14, "monthly": 12},
        {"daily": 7, "weekly": 4, "monthly": 6},
    )
    backup_max_age_hours: float = key(
        "Age of the newest backup above which `status.yml` fails.", "number of hours", 8, 36, ge=1
    )
    backup_proof_schedule: Schedule = key(
        "When a restore into a scratch place is proven.", "calendar expression", "Sun 05:00", "weekly"
    )
    backup_proof_max_age_hours: float = key(
        "Age of the newest proven restore above which `status.yml` fails.", "number of hours", 48, 192, ge=1
    )
    backup_prune_schedule: Schedule = key(
        "When what is past its time is dropped.", "calendar expression", "Sat 05:00", "daily"
    )
    backup_beside_apps: bool = key(
        "Whether the backup host may be an app host. Its repositories should be on a disk of their own.",
        "true or false",
        True,
        False,
    )


def backup_problems(groups: Mapping[str, list[str]], hosts: Mapping[str, HostView]) -> list[Problem]:
    """Return every mistake that concerns backups.

    Args:
        groups: Hosts by group.
        hosts: Every host of the kit's groups.
    """
    clients = [host for group in ("app", "database") for host in groups.get(group, [])]
    apps = {host: hosts[host] for host in clients}
    keepers = {host: hosts[host] for host in groups.get("backup", [])}
    if not keepers:
        return [*_unused(apps), *merge([*_unsaved(apps, "the group backup has no hosts", _KEEPER)])]
    found: list[Problem] = []
    for host, view in {**apps, **keepers}.items():
        found += _setting_problems(host, view)
    idle = _unsaved(apps, "the app has no commands in migrate", "add migrate, or remove the key", "migrate")
    return [*_group_problems(apps, keepers), *merge([*found, *idle]), *_other_passphrases(apps, keepers)]


def _unsaved(apps: Mapping[str, HostView], what: str, fix: str, unless: str = "") -> Iterator[Problem]:
    """Find apps that are to be saved before they migrate, and would not be."""
    for host, view in apps.items():
        for name, (index, raw) in view.named().items():
            if raw.get(_BEFORE) and not raw.get(unless):
                location = view.location(index, _BEFORE)
                yield Problem(f"app {name}", _BEFORE, "true", f"does nothing: {what}", fix, location, [host])


def _unused(apps: Mapping[str, HostView]) -> Iterator[Problem]:
    given = {name: view for view in apps.values() for name in view.variables if name in Backup.model_fields}
    for name, view in given.items():
        what = "is set, but the group backup has no hosts, so nothing is saved"
        fix = "put the host that holds the backups into the group backup"
        location = view.setting_location(name)
        yield Problem("group backup", name, "", what, fix, location, is_warning=True)


def _group_problems(apps: Mapping[str, HostView], keepers: Mapping[str, HostView]) -> Iterator[Problem]:
    if len(keepers) > 1:
        what = f"has {len(keepers)} hosts, and apps are saved to one"
        yield Problem("group backup", "", "", what, f"leave one of them: {', '.join(keepers)}")
    for host, view in keepers.items():
        if host in apps and not view.settings.get("backup_beside_apps"):
            what = "is in the group backup, and has what is saved: what takes its disk takes the backups, too"
            fix = "put another machine into backup; or use another disk, and write backup_beside_apps: true"
            yield Problem(f"host {host}", "", "", what, fix)
        try:
            resolved_address(host, view.settings)
        except MistakeError as mistake:
            yield without_address(host, view, mistake, "the hosts that are saved have to reach it there")


def _setting_problems(host: str, view: HostView) -> list[Problem]:
    own = {name: value for name, value in view.settings.items() if name in Backup.model_fields}
    found = model_problems("group backup", Backup, own)
    for problem in found:
        problem.hosts, problem.location = [host], view.setting_location(problem.key)
        if problem.key == "backup_passphrase" and problem.what == "is missing":
            problem.fix = f"add {_PASSPHRASE} to group_vars/all.yml, {_MAKE_ONE}"
    return found


def _other_passphrases(apps: Mapping[str, HostView], keepers: Mapping[str, HostView]) -> Iterator[Problem]:
    said = {host: view.settings.get("backup_passphrase") for host, view in {**keepers, **apps}.items()}
    first = next(iter(said))
    other = next((host for host in said if said[host] != said[first]), None)
    if other and all(said.values()):
        what = f"is another one on {other} than on {first}"
        fix = "set it once for all hosts, in group_vars/all.yml"
        yield Problem("group backup", "backup_passphrase", "", what, fix)
