"""Which databases and instances a host has, who may connect, and what the apps are told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.farrier.kit.plugins.filter import needs
from ansible_collections.farrier.kit.plugins.filter.inventory import app_defaults, backup_checks

NEEDS = {
    "postgresql": {"extensions": ["earthdistance"], "connections_max": 30, "read_only": True},
    "valkey": {},
}


def app(name: str, **keys: Any) -> dict[str, Any]:
    """Return an app as an inventory has it."""
    return {
        "name": name,
        "domains": [f"{name}.example.org"],
        "source": {"path": "/srv"},
        "module": "main:app",
        **keys,
    }


APPS = [
    app("shop", needs=NEEDS),
    app("blog", needs={"postgresql": {"scheme": "postgresql+asyncpg"}}),
    app("plain"),
]
HOSTVARS = {
    "db1": {"private_address": "10.0.0.9"},
    "app1": {"private_address": "10.0.0.1", "apps": APPS},
    "app2": {"private_address": "10.0.0.2", "apps": APPS[:1]},
}
FLEET = {"app": ["app1", "app2"], "database": ["db1"], "cache": ["db1"]}
ALONE = {"app": ["app1"], "database": ["app1"], "cache": ["app1"]}


def test_a_database_for_each_app_that_needs_one_and_its_hosts_as_clients() -> None:
    """An extension brings those that it requires before it."""
    assert needs.postgresql_databases("db1", FLEET["app"], HOSTVARS, ["db1"]) == [
        {
            "name": "blog",
            "extensions": [],
            "read_only": False,
            "connections_max": None,
            "clients": ["10.0.0.1"],
        },
        {
            "name": "shop",
            "extensions": ["cube", "earthdistance"],
            "read_only": True,
            "connections_max": 30,
            "clients": ["10.0.0.1", "10.0.0.2"],
        },
    ]
    local = needs.postgresql_databases("app1", ["app1"], HOSTVARS, ["app1"])
    assert [database["clients"] for database in local] == [[], []]
    pair = needs.postgresql_databases("app1", ["app1"], HOSTVARS, ["app1", "db1"])
    assert [database["clients"] for database in pair] == [["10.0.0.1"], ["10.0.0.1"]]


def test_an_instance_is_behind_a_socket_or_a_port_and_never_both() -> None:
    """Where the app runs on two hosts, that of the cache connects by TLS, too."""
    (instance,) = needs.valkey_instances("app1", ["app1", "app2"], HOSTVARS)
    assert instance["clients"] == ["10.0.0.1", "10.0.0.2"]
    (instance,) = needs.valkey_instances("app1", ["app1"], HOSTVARS)
    assert instance["clients"] == []
    assert (instance["memory_max_mb"], instance["eviction"], instance["persistent"]) == (
        128,
        "noeviction",
        True,
    )


def test_a_database_is_saved_on_its_host_unless_that_alone_has_the_app() -> None:
    """A transaction reaches what is on its own host, and no other."""
    apps = [app("shop", needs=NEEDS, backup_before_migrate=True), APPS[1]]

    def hosts(name: str, app_hosts: list[str], databases: list[str]) -> list[str]:
        return needs.databases_to_save(apps, name, app_hosts, {"database": databases})

    assert hosts("shop", ["app1"], ["db1"]) == ["db1"]
    assert hosts("shop", ["app1"], ["app1", "db1"]) == ["app1", "db1"]
    assert hosts("shop", ["app1"], ["app1"]) == []
    assert hosts("shop", ["app1", "app2"], ["app1"]) == ["app1"]
    assert hosts("blog", ["app1"], ["db1"]) == []
    apps[0] = app("shop", backup_before_migrate=True)
    assert hosts("shop", ["app1"], ["db1"]) == []


def test_apps_on_the_same_machine_are_told_of_sockets() -> None:
    """They connect to no other host."""
    apps = app_defaults(APPS)
    assert needs.needs_servers(apps, "app1", ALONE, HOSTVARS, "app1") == {}
    assert needs.needs_environments(apps, "app1", ALONE, HOSTVARS) == {
        "shop": {
            "READ_ONLY_DATABASE_URL": "postgresql://shop_reader@/shop?host=/run/postgresql",
            "DATABASE_URL": "postgresql://shop@/shop?host=/run/postgresql",
            "REDIS_URL": "unix:///run/farrier-cache/shop/valkey.sock?db=0",
        },
        "blog": {"DATABASE_URL": "postgresql+asyncpg://blog@localhost/blog?host=/run/postgresql"},
        "plain": {},
    }


def test_apps_elsewhere_are_told_passwords_that_the_server_knows() -> None:
    """Both sides compute them from the server's secret."""
    apps = app_defaults(APPS)
    assert needs.needs_servers(apps, "app1", FLEET, HOSTVARS, "db1") == {"10.0.0.9": "db1"}
    told = needs.needs_environments(apps, "app1", FLEET, HOSTVARS, {"10.0.0.9": "secret"})
    databases = needs.postgresql_databases("db1", FLEET["app"], HOSTVARS, ["db1"])
    instances = needs.valkey_instances("db1", FLEET["app"], HOSTVARS)
    passwords = needs.needs_passwords(databases, "postgresql", "secret")
    assert f"//shop:{passwords['shop']}@10.0.0.9:5432/shop" in told["shop"]["DATABASE_URL"]
    assert (
        f"//shop_reader:{passwords['shop_reader']}@10.0.0.9:5432/shop?"
        in (told["shop"]["READ_ONLY_DATABASE_URL"])
    )
    assert len(set(passwords.values())) == len(passwords) == 3
    assert f"//blog:{passwords['blog']}@10.0.0.9:5432/blog" in told["blog"]["DATABASE_URL"]
    assert told["blog"]["PGSSLROOTCERT"] == "/etc/farrier/server_key/10.0.0.9.pem"
    of_valkey = needs.needs_passwords(instances, "valkey", "secret")
    assert f"//:{of_valkey['shop']}@10.0.0.9:" in told["shop"]["REDIS_URL"]
    for_builds = needs.needs_environments(apps, "app1", FLEET, HOSTVARS)
    assert for_builds["shop"]["DATABASE_URL"].startswith("postgresql://shop@10.0.0.9:5432/shop?")


def test_two_database_hosts_are_reached_by_a_name_that_a_failover_moves() -> None:
    """Neither URL nor password nor certificate change with it, also for an app on one of them."""
    apps = app_defaults(APPS[:1])
    groups = {"app": ["app1"], "database": ["app1", "db1"], "cache": ["db1"]}
    name = "database.farrier.internal"
    for primary in ("app1", "db1"):
        servers = needs.needs_servers(apps, "app1", groups, HOSTVARS, primary)
        assert servers == {name: primary, "10.0.0.9": "db1"}
    told = needs.needs_environments(apps, "app1", groups, HOSTVARS, {name: "secret"})["shop"]["DATABASE_URL"]
    assert f"@{name}:5432/shop?sslmode=verify-full&sslrootcert=/etc/farrier/server_key/{name}.pem" in told


def host(role: str, **facts: Any) -> dict[str, Any]:
    """Return the variables of a database host as a run finds it."""
    return {
        "ansible_facts": {"farrier_host": {"postgresql": role, "version": "13.1", "database": ""} | facts}
    }


def test_a_failover_names_who_takes_part() -> None:
    """A host that does not answer is not stopped, nor told anything."""
    groups = {"app": ["app1"], "database": ["db1", "db2"]}
    streaming = {"is_replica": True, "receiver": "streaming", "received": "0/1", "replayed_at": None}
    hostvars = {
        "app1": host("", database="db1"),
        "db1": {**host("primary"), "postgresql_found": {"is_replica": False, "lag_bytes": 0}},
        "db2": {**host("replica"), "postgresql_found": streaming},
    }
    assert needs.database_primary(groups, hostvars) == {
        "primary": "db1",
        "replica": "db2",
        "used": "db1",
        "problem": "",
    }
    plan = needs.failover_plan(groups, hostvars, False, "")
    assert plan["groups"] == {
        "failover_new": ["db2"],
        "failover_apps": ["app1"],
        "failover_old": ["db1"],
        "failover_databases": ["db1", "db2"],
    }
    assert needs.failover_plan(groups, hostvars, True, "")["groups"] == {}
    del hostvars["db1"]["postgresql_found"]
    down = needs.failover_plan(groups, hostvars, True, "")
    assert down["groups"] == {
        "failover_new": ["db2"],
        "failover_apps": ["app1"],
        "failover_fenced": ["db1"],
    }
    hostvars["db1"] = {"postgresql_synchronous": "yes"}
    dead = needs.failover_plan(groups, hostvars, True, "")
    assert dead["groups"] == {"failover_new": ["db2"], "failover_apps": ["app1"]}
    assert "None is lost" in dead["lines"][0]
    assert needs.failover_plan(groups, hostvars, False, "db2")["problem"]


def test_a_server_without_an_address_is_named() -> None:
    """The contract finds it first."""
    with pytest.raises(AnsibleFilterError, match="host db1: private_address"):
        needs.private_address("db1", {"db1": {}})


def test_an_extension_that_is_not_packaged_for_the_release_is_named() -> None:
    """Before anything changes."""
    databases = [
        {"name": "shop", "extensions": ["citext", "vector"]},
        {"name": "maps", "extensions": ["postgis"]},
    ]
    assert needs.postgresql_packages(databases, "17") == ["postgresql-17-pgvector", "postgresql-17-postgis-3"]
    with pytest.raises(AnsibleFilterError, match=r"app shop, .*: has the extension vector"):
        needs.postgresql_packages(databases, "15")


@pytest.mark.parametrize(
    ("recorded", "hosts", "moved"),
    [
        ("", ["db1"], []),
        ("db1", ["db1"], []),
        ("db1", ["db2"], ["shop", "blog"]),
        ("db1", [], ["shop", "blog"]),
    ],
)
def test_apps_whose_database_would_be_another_one(recorded: str, hosts: list[str], moved: list[str]) -> None:
    """It would be empty."""
    assert needs.moved_databases(app_defaults(APPS), recorded, hosts) == moved


SHOP = {"name": "shop", "extensions": [], "connections_max": 30, "clients": ["10.0.0.1"]}
PASSWORD = "a-known-password"
FOUND = {
    "name": "shop",
    "comment": "of an app",
    "is_open": False,
    "owner": "shop",
    "connections": 30,
    # As PostgreSQL 15 has made it of the password.
    "password": "SCRAM-SHA-256$4096:h1M0l4dPmiq0on0jfZQMxg==$Z0tOu4YlX/Y9XTbZHhRgNImUfBDjVMXAVc6vqZpzGWg="
    ":sMUPEJ7vJJIl5K2FJ4PBBTTQL80JFSRJJe9c3OoUyzo=",
    "flags": [True, False, False, False],
}


def test_a_database_that_is_as_it_should_be_is_left_alone() -> None:
    """With its password, or where none is needed."""
    assert needs.postgresql_due([SHOP], [FOUND], "of an app", {"shop": PASSWORD}) == []
    assert needs.postgresql_due([SHOP], [{**FOUND, "password": None}], "of an app", {}) == []


@pytest.mark.parametrize(
    "difference",
    [
        {"name": "another"},
        {"comment": None},
        {"is_open": True},
        {"owner": "postgres"},
        {"connections": -1},
        {"password": None},
        {"password": "md5d41d8cd98f00b204e9800998ecf8427e"},
        {"password": FOUND["password"].replace("Z0tO", "Z0t0")},
        {"flags": [True, True, False, False]},
    ],
)
def test_any_difference_makes_it_due(difference: dict[str, Any]) -> None:
    """Whoever has made it."""
    found = [{**FOUND, **difference}]
    assert needs.postgresql_due([SHOP], found, "of an app", {"shop": PASSWORD}) == ["shop"]


def test_who_monitors_has_a_password_of_their_own() -> None:
    """It follows from the secret, and is no app's. Without a secret there is none."""
    password = needs.monitoring_password("secret")
    of_apps = needs.needs_passwords([{"name": "shop", "clients": ["10.0.0.3"]}], "valkey", "secret")
    assert password not in ("", *of_apps.values(), needs.replication_password("secret"))
    assert needs.monitoring_password("") == ""


READER = {"flags": [True, False, False, False], "password": FOUND["password"], "rights": 4}


@pytest.mark.parametrize(
    "found",
    [
        [],
        [{**READER, "flags": [True, True, False, False]}],
        [{**READER, "password": None}],
        [{**READER, "rights": 3}],
    ],
)
def test_a_role_that_only_reads_is_due_if_anything_is_different(found: list[dict[str, Any]]) -> None:
    """As after a restore of a time when the database had none."""
    passwords = {"shop_reader": PASSWORD}

    def due(found: list[dict[str, Any]]) -> list[str]:
        return needs.postgresql_readers_due([{"item": "shop", "query_result": found}], passwords)

    assert due([READER]) == []
    assert due(found) == ["shop"]
    assert needs.postgresql_readers_due([{"item": "shop", "failed": True}], passwords) == ["shop"]


def test_a_backup_check_reaches_a_database_of_its_host() -> None:
    """By all its variables; of another host, it reaches nothing."""
    apps = app_defaults([app("shop", needs={"postgresql": {"variable": "URL", "read_only": True}})])
    checks = {"name": "shop", "backup_check": ""}
    environment = {
        "URL": "postgresql://shop@/shop?host=/run/postgresql",
        "READ_ONLY_URL": "postgresql://shop_reader@/shop?host=/run/postgresql",
    }
    assert backup_checks(apps, ["shop"]) == [{**checks, "check_environment": environment}]
    assert backup_checks(apps, []) == [{**checks, "check_environment": {}}]
