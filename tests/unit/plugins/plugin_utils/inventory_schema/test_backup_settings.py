"""The inventory of backups: who holds them, the passphrase, and what would keep nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    Backup,
    Hidden,
    HostView,
    Keep,
    Problem,
    Unresolved,
    inventory_problems,
)

from tests.unit.plugins.plugin_utils.inventory_schema.test_fleet import host

ROLE = Path(__file__).resolve().parents[5] / "roles/backup"
PASSPHRASE = "correct-horse-battery"


def check(apps: dict[str, HostView], keepers: dict[str, HostView]) -> list[Problem]:
    """Check an inventory whose app hosts are its edges."""
    groups = {"edge": list(apps), "app": list(apps), "backup": list(keepers)}
    return inventory_problems(groups, {**apps, **keepers})


def only(**settings: object) -> Problem:
    """Return the one problem that variables of all hosts make."""
    settings = {"backup_passphrase": PASSPHRASE, **settings}
    found = check({"web1": host(1, **settings)}, {"vault": host(2, **settings)})
    assert len(found) == 1, found
    return found[0]


def test_a_passphrase_is_all_that_is_needed() -> None:
    """Everything else has a default."""
    view = {"backup_passphrase": PASSPHRASE}
    assert check({"web1": host(1, **view), "web2": host(3, **view)}, {"vault": host(2, **view)}) == []


@pytest.mark.parametrize(
    ("keepers", "keys", "what"),
    [
        ({}, {"migrate": ["alembic upgrade head"]}, "does nothing: the group backup has no hosts"),
        ({"vault": 2}, {}, "does nothing: the app has no commands in migrate"),
        ({"vault": 2}, {"migrate": ["alembic upgrade head"]}, None),
    ],
)
def test_a_backup_before_a_migration_takes_both(
    keepers: dict[str, int], keys: dict[str, object], what: str | None
) -> None:
    """Otherwise an operator would count on one that is never made."""
    settings = {"backup_passphrase": PASSPHRASE} if keepers else {}
    view = host(1, **settings)
    assert isinstance(view.apps, list)
    view.apps[0].update(keys, backup_before_migrate=True)
    found = check({"web1": view}, {name: host(number, **settings) for name, number in keepers.items()})
    assert [(one.key, one.what) for one in found] == ([("backup_before_migrate", what)] if what else [])


def test_defaults_are_those_of_the_role() -> None:
    """The docs say the one, hosts get the other."""
    role = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    fields = {
        name: field.get_default(call_default_factory=True)
        for name, field in Backup.model_fields.items()
        if not field.is_required()
    }
    assert fields.pop("backup_beside_apps") is False
    assert {name: role[name] for name in fields} == fields


def test_every_example_of_the_model_is_accepted() -> None:
    """Examples end up in the docs and in messages."""
    examples = {key: (field.examples or [None])[0] for key, field in Backup.model_fields.items()}
    assert check({"web1": host(1, **examples)}, {"vault": host(2, **examples)}) == []
    assert Keep.model_validate(
        {key: field.examples[0] for key, field in Keep.model_fields.items() if field.examples}
    )


def test_a_missing_passphrase_is_told_once_with_its_fix() -> None:
    """Whatever number of hosts lack it."""
    problem = check({"web1": host(1), "web2": host(3)}, {"vault": host(2)})
    assert [(one.key, one.what, one.hosts) for one in problem] == [
        ("backup_passphrase", "is missing", ["web1", "web2", "vault"])
    ]
    assert "vault_backup_passphrase" in problem[0].fix
    assert "openssl rand" in problem[0].fix


@pytest.mark.parametrize(
    ("settings", "key", "what"),
    [
        ({"backup_keep": {"daily": 0}}, "backup_keep", "would keep nothing"),
        ({"backup_keep": {}}, "backup_keep", "would keep nothing"),
        ({"backup_keep": {"daily": -1}}, "backup_keep.daily", "is below 0"),
        ({"backup_keep": {"days": 7}}, "backup_keep.days", "is an unknown key"),
        ({"backup_schedule": "every\nday"}, "backup_schedule", "is not a calendar expression"),
        ({"backup_max_age_hours": 0.5}, "backup_max_age_hours", "is below 1.0"),
        ({"backup_wal_schedule": ""}, "backup_wal_schedule", "is not a calendar expression"),
        ({"backup_wal_max_age_minutes": 1}, "backup_wal_max_age_minutes", "is below 2.0"),
        ({"backup_postgresql_weeks": 0}, "backup_postgresql_weeks", "is below 1"),
        ({"backup_passphrase": "short"}, "backup_passphrase", "is shorter than 16 characters"),
        (
            {"backup_passphrase": Unresolved("cannot be decrypted", "x")},
            "backup_passphrase",
            "cannot be decrypted",
        ),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, object], key: str, what: str) -> None:
    """By key and cause."""
    problem = only(**settings)
    assert problem.key == key
    assert problem.what.startswith(what)


@pytest.mark.parametrize("secret", ["hunter2", Hidden("hunter2")])
def test_a_passphrase_is_never_shown(secret: str) -> None:
    """Whether or not it comes out of a vault."""
    assert "hunter2" not in "".join(only(backup_passphrase=secret).lines())


def test_hosts_have_one_passphrase() -> None:
    """With two, the backup host could prune nothing."""
    apps = {"web1": host(1, backup_passphrase=PASSPHRASE)}
    found = check(apps, {"vault": host(2, backup_passphrase=PASSPHRASE.upper())})
    assert [one.what for one in found] == ["is another one on web1 than on vault"]
    assert PASSPHRASE not in "".join(found[0].lines())


def test_an_app_host_holds_its_own_backups_by_order_alone() -> None:
    """What takes its disk takes both."""
    view = host(1, backup_passphrase=PASSPHRASE)
    found = check({"web1": view}, {"web1": view})
    assert [one.subject for one in found] == ["host web1"]
    view = host(1, backup_passphrase=PASSPHRASE, backup_beside_apps=True)
    assert check({"web1": view}, {"web1": view}) == []


def test_two_backup_hosts_are_refused() -> None:
    """Each app host has one repository."""
    view = {"backup_passphrase": PASSPHRASE}
    found = check({"web1": host(1, **view)}, {"vault": host(2, **view), "other": host(3, **view)})
    assert [one.what for one in found] == ["has 2 hosts, and apps are saved to one"]


def test_a_backup_host_needs_an_address() -> None:
    """App hosts have to reach it."""
    view = HostView(settings={"backup_passphrase": PASSPHRASE, "ansible_host": "no-such-host.invalid"})
    found = check({"web1": host(1, backup_passphrase=PASSPHRASE)}, {"vault": view})
    assert [(one.subject, one.key) for one in found] == [("host vault", "private_address")]


def test_a_database_host_has_the_passphrase_too() -> None:
    """What it saves is no app's."""
    view = host(1, backup_passphrase=PASSPHRASE)
    groups = {"edge": ["web1"], "app": ["web1"], "database": ["db1"], "backup": ["vault"]}
    hosts = {"web1": view, "db1": host(3), "vault": host(2, backup_passphrase=PASSPHRASE)}
    assert [(one.key, one.hosts) for one in inventory_problems(groups, hosts)] == [
        ("backup_passphrase", ["db1"])
    ]


def test_settings_without_a_backup_host_are_told() -> None:
    """Somebody may believe that something is saved."""
    view = host(1, backup_passphrase=PASSPHRASE)
    view.variables.append("backup_passphrase")
    found = check({"web1": view}, {})
    assert [(one.key, one.is_warning) for one in found] == [("backup_passphrase", True)]
    assert "nothing is saved" in found[0].what
