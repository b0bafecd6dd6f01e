"""Check the whole inventory at once: groups, every app of every host, and what apps share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ..kit_groups import GROUPS
from .backup_settings import Backup, backup_problems
from .certificates import Reader, certificate_problems, read_plainly
from .explain import app_problems, shown, subject_of, suggestion
from .fleet_checks import fleet_problems
from .fleet_settings import Fleet
from .guard_settings import Guard, guard_problems
from .hosts import MISSING, HostView
from .limits import limit_problems
from .mistakes import Problem, Unresolved, merge
from .monitoring_settings import Monitoring, monitor_problems
from .needs import needs_problems
from .renamed import renamed_problems
from .sources import snippet_problems, source_problems

# What the contract looks at beside `apps`.
SETTINGS = (
    *Fleet.model_fields,
    *Backup.model_fields,
    *Guard.model_fields,
    *Monitoring.model_fields,
    "ansible_host",
)


def inventory_problems(
    groups: Mapping[str, list[str]],
    hosts: Mapping[str, HostView],
    read: Reader = read_plainly,
) -> list[Problem]:
    """Return every mistake of the inventory, and what will be one, in the order of groups, hosts and apps.

    Args:
        groups: Hosts by group, all groups of the inventory.
        hosts: Every host of `kit_groups`.
        read: Returns what is in a file of the controller, see `certificate_problems`.
    """
    read = cache(read)
    problems: list[Problem] = []
    everywhere = hosts
    serving = {host for group in GROUPS for host in groups.get(group, [])}
    hosts = {host: view for host, view in everywhere.items() if host in serving}
    for host, view in hosts.items():
        group = "app" if host in groups.get("app", []) else "edge"
        for problem in _list_problems(view, group) + _entry_problems(view, read):
            problem.hosts = [host]
            problems.append(problem)
    return [
        *_group_problems(groups, hosts),
        *renamed_problems(hosts),
        *merge(problems),
        *_domain_problems(hosts),
        *_unit_problems(hosts),
        *fleet_problems(groups, hosts),
        *backup_problems(groups, everywhere),
        *needs_problems(groups, everywhere),
        *guard_problems(everywhere),
        *monitor_problems(groups, everywhere),
    ]


def _group_problems(groups: Mapping[str, list[str]], hosts: Mapping[str, HostView]) -> list[Problem]:
    entries = [entry for view in hosts.values() for entry in view.named().values()]
    answers_nobody = bool(entries) and not any(view.served() for view in hosts.values())
    others = [name for name in groups if name not in ("all", "ungrouped", *GROUPS)]
    problems = []
    for group, purpose in GROUPS.items():
        if not groups.get(group) and not (group == "edge" and answers_nobody):
            fix = f"put the hosts for {purpose} into it"
            if meant := suggestion(group, others):
                fix = f"rename the group {meant} to {group}"
            problems.append(Problem(f"group {group}", "", "", "has no hosts", fix))
    return problems


def _list_problems(view: HostView, group: str) -> list[Problem]:
    """Check `apps` as a whole."""
    if isinstance(view.apps, list):
        return []
    if isinstance(view.apps, Unresolved):
        what, fix = view.apps.what, view.apps.fix
    elif view.apps is MISSING or view.apps is None:
        what = "is not defined for hosts of the group"
        fix = "define it in group_vars/all.yml, where edge and app hosts both see it"
        if meant := suggestion("apps", [name for name in view.variables if name != "apps"]):
            fix = f"rename the variable {meant} to apps"
    else:
        what, fix = "is not a list", "begin each app with a dash: - name: observatory"
    return [Problem(f"group {group}", "apps", "", what, fix)]


def _entry_problems(view: HostView, read: Reader) -> list[Problem]:
    problems: list[Problem] = []
    names: set[str] = set()
    for index, raw in enumerate(view.entries()):
        found = app_problems(raw, index)
        if isinstance(raw, Mapping):
            subject, name = subject_of(raw, index), raw.get("name")
            if isinstance(raw.get("source"), Mapping):
                found += source_problems(subject, raw["source"])
            if isinstance(raw.get("edge"), Mapping):
                found += snippet_problems(subject, raw["edge"])
            found += certificate_problems(subject, raw, read)
            found += limit_problems(subject, raw)
            found += _shared_variable_problems(subject, raw.get("env"), raw.get("secrets"))
            if isinstance(name, str) and name in names:
                what, fix = "is also the name of an earlier app", "give each app a name of its own"
                found.append(Problem(f"apps[{index}]", "name", shown(name, ("name",)), what, fix))
            if isinstance(name, str):
                names.add(name)
        for problem in found:
            problem.location = view.location(index, problem.key)
        problems += found
    return problems


def _shared_variable_problems(subject: str, env: object, secrets: object) -> list[Problem]:
    if not isinstance(env, Mapping) or not isinstance(secrets, Mapping):
        return []
    fix = "keep it in one of them, secrets if in doubt"
    return [Problem(subject, f"env.{key}", "", "is also in secrets", fix) for key in env if key in secrets]


@dataclass(frozen=True)
class _Claim:
    """A domain that an app lists.

    Attributes:
        subject: Names the app.
        key: Of the domain.
        location: Where it is written.
        path: URL prefix of the app on the domain.
        site: All domains of the app, and its certificate.
    """

    subject: str
    key: str
    domain: str
    location: str
    path: str
    site: tuple[object, object]

    def conflict(self, other: _Claim) -> tuple[str, str] | None:
        """Return why another app cannot have the domain as well, and what to do; None if it can."""
        at = f" ({other.location})" if other.location else ""
        if self.path == other.path:
            below = f" for the path {self.path}" if self.path != "/" else ""
            fix = "leave it to one of the two, or give one of them a `path` of its own"
            return f"is also claimed by {other.subject}{at}{below}", fix
        if self.site != other.site:
            what = f"is shared with {other.subject}{at}, whose domains or certificate differ"
            return what, "write the same `domains` and `certificate` for both"
        return None


def _claims(view: HostView) -> Iterator[_Claim]:
    """Yield every domain of a host."""
    for index, raw in enumerate(view.entries()):
        domains = raw.get("domains") if isinstance(raw, Mapping) else None
        for position, domain in enumerate(domains if isinstance(domains, list) else []):
            if isinstance(domain, str):
                key = f"domains[{position}]"
                path = str(raw.get("path", "")).rstrip("/") or "/"
                site = (domains, raw.get("certificate", {}))
                yield _Claim(subject_of(raw, index), key, domain, view.location(index, key), path, site)


def _domain_problems(hosts: Mapping[str, HostView]) -> list[Problem]:
    """Find domains that two apps with one path, or one app twice, claim, on whatever hosts."""
    owners: dict[str, list[_Claim]] = {}
    problems: list[Problem] = []
    for host, view in hosts.items():
        on_host: set[tuple[str, str]] = set()
        for claim in _claims(view):
            others = [other for other in owners.get(claim.domain, []) if other.subject != claim.subject]
            owners.setdefault(claim.domain, []).append(claim)
            found = next(filter(None, map(claim.conflict, others)), None)
            if not found and (claim.subject, claim.domain) in on_host:
                found = "is listed twice", "remove one of the two"
            on_host.add((claim.subject, claim.domain))
            if found:
                value = shown(claim.domain, ("domains",))
                problems.append(Problem(claim.subject, claim.key, value, *found, claim.location, [host]))
    return merge(problems)


def _unit_problems(hosts: Mapping[str, HostView]) -> list[Problem]:
    """Find processes and timers whose units have the name of another app's."""
    problems: list[Problem] = []
    for host, view in hosts.items():
        owners = {name: (name, "") for name in view.named()}
        for name, (index, raw) in view.named().items():
            for key in ("processes", "timers"):
                entries = raw.get(key)
                for one in entries if isinstance(entries, Mapping) else ():
                    unit = f"{name}-{one}"
                    owner, of_key = owners.setdefault(unit, (name, f"{key}.{one}"))
                    if owner != name:
                        of = f"app {owner}" + (f", key {of_key}" if of_key else "")
                        problems.append(
                            Problem(
                                f"app {name}",
                                f"{key}.{one}",
                                "",
                                f"would have the unit {unit}, which is also that of {of}",
                                "give it another name",
                                view.location(index, f"{key}.{one}"),
                                [host],
                            )
                        )
    return merge(problems)
