"""What the contract says of `needs`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    HostView,
    app_problems,
    inventory_problems,
)

APP = {
    "name": "shop",
    "domains": ["shop.example.org"],
    "source": {"path": "/tmp"},
    "module": "main:app",
}


def told(keys: dict[str, Any]) -> list[str]:
    """Return what is said of an app, as "key: what; fix"."""
    return [f"{problem.key}: {problem.what}; {problem.fix}" for problem in app_problems({**APP, **keys}, 0)]


@pytest.mark.parametrize(
    "keys",
    [
        {"needs": {}},
        {"needs": {"postgresql": {}, "valkey": {}}},
        {"needs": {"postgresql": {"variable": "DB"}}, "env": {"DATABASE_URL": "postgresql://elsewhere/db"}},
        {"needs": {"postgresql": {"scheme": "postgresql+asyncpg", "extensions": ["uuid-ossp"]}}},
        {"needs": {"valkey": {"scheme": "redis+socket", "eviction": "allkeys-lru", "persistent": False}}},
    ],
)
def test_good_needs(keys: dict[str, Any]) -> None:
    """Also beside a URL of one's own, under another name."""
    assert told(keys) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"needs": {"postgres": {}}}, "needs.postgres: is an unknown key; did you mean postgresql?"),
        (
            {"needs": {"postgresql": None}},
            "needs.postgresql: has no value; write postgresql: {}, or remove it",
        ),
        ({"needs": {"postgresql": {"extensions": ["citex"]}}}, "needs.postgresql.extensions[0]: is not an"),
        ({"needs": {"postgresql": {"extensions": ["citex"]}}}, "did you mean citext?"),
        ({"needs": {"postgresql": {"connections_max": 0}}}, "needs.postgresql.connections_max: is below 1"),
        (
            {"needs": {"postgresql": {"scheme": "postgresql://"}}},
            "is not the scheme of a URL; write postgresql",
        ),
        ({"needs": {"valkey": {"eviction": "lru"}}}, "needs.valkey.eviction: is not noeviction"),
        (
            {"needs": {"postgresql": {}}, "secrets": {"DATABASE_URL": "x"}},
            ": has DATABASE_URL in secrets, and needs.postgresql, which sets it; remove needs",
        ),
        (
            {"needs": {"postgresql": {"read_only": True}}, "env": {"READ_ONLY_DATABASE_URL": "x"}},
            ": has READ_ONLY_DATABASE_URL in env, and needs.postgresql, which sets it; remove needs",
        ),
        (
            {"needs": {"postgresql": {"read_only": "reader"}}},
            "needs.postgresql.read_only: is text, not true or false",
        ),
        (
            {"needs": {"postgresql": {"variable": "URL"}, "valkey": {"variable": "URL"}}},
            ": has URL in needs.postgresql, and needs.valkey, which sets it",
        ),
        ({"name": "template1", "needs": {"postgresql": {}}}, "which PostgreSQL keeps for itself"),
    ],
)
def test_bad_needs(keys: dict[str, Any], said: str) -> None:
    """With the way out."""
    assert any(said in one for one in told(keys)), told(keys)


def fleet(groups: dict[str, list[str]], **app: Any) -> list[str]:
    """Return what is said of a fleet whose app hosts run the app, as "subject, key: what; fix"."""
    groups = {"all": [], "ungrouped": [], "edge": ["app1"], "app": ["app1"], **groups}
    apps: list[Any] = [{**APP, "needs": {"postgresql": {}}, **app}]
    names = dict.fromkeys(host for named in groups.values() for host in named)
    hosts = {
        host: HostView(apps, variables=["apps"], settings={"private_address": f"10.0.0.{number}"})
        for number, host in enumerate(names, start=1)
    }
    if "unknown" in hosts:
        hosts["unknown"].settings = {}
    return [f"{one.subject}, {one.key}: {one.what}; {one.fix}" for one in inventory_problems(groups, hosts)]


def test_a_fleet_that_has_what_its_apps_need() -> None:
    """On one machine, or on another one; a database host needs no `apps`."""
    assert fleet({"database": ["app1"]}) == []
    assert fleet({"database": ["db1"]}) == []
    assert fleet({"database": ["app1", "db1"]}) == []
    assert fleet({"database": ["app1"]}, outbound=False) == []


@pytest.mark.parametrize(
    ("groups", "app", "said"),
    [
        (
            {},
            {},
            "app shop, needs.postgresql: needs a host of the group database, which has none; put the host",
        ),
        (
            {"database": []},
            {},
            "If database has lost its host by mistake, put that one back: it has the data",
        ),
        ({"databases": ["db1"]}, {}, "rename the group databases to database"),
        (
            {"database": ["db1", "db2", "db3"]},
            {},
            "group database, : has 3 hosts (db1, db2, db3), and Farrier sets up a primary and one replica",
        ),
        (
            {"cache": ["db1", "db2"]},
            {"needs": {}},
            "group cache, : has 2 hosts (db1, db2), and Farrier sets up one; leave one host in it: db1",
        ),
        ({"database": ["db1", "unknown"]}, {"needs": {}}, "host unknown, private_address: is not set"),
        (
            {"database": ["app1", "db1"]},
            {"outbound": False},
            "app shop, outbound: leaves the app no network, but needs.postgresql is on another machine, db1",
        ),
        (
            {"database": ["db1"]},
            {"needs": {"valkey": {}}},
            "app shop, needs.valkey: needs a host of the group cache",
        ),
        ({"database": ["unknown"]}, {}, "host unknown, private_address: is not set"),
        ({"database": ["db1"]}, {"outbound": False}, "app shop, outbound: leaves the app no network"),
    ],
)
def test_a_fleet_that_lacks_it(groups: dict[str, list[str]], app: dict[str, Any], said: str) -> None:
    """Before any host is touched."""
    assert any(said in one for one in fleet(groups, **app)), fleet(groups, **app)


def test_needs_are_the_same_on_all_hosts() -> None:
    """Else the database would be that of the first one."""
    other = {**APP, "needs": {"postgresql": {"extensions": ["citext"]}}}
    hosts = {
        "app1": HostView([{**APP, "needs": {"postgresql": {}}}], settings={"private_address": "10.0.0.1"}),
        "app2": HostView([other], settings={"private_address": "10.0.0.2"}),
        "db1": HostView(settings={"private_address": "10.0.0.3"}),
    }
    groups = {"edge": ["app1"], "app": ["app1", "app2"], "database": ["db1"]}
    said = [f"{one.key}: {one.what}" for one in inventory_problems(groups, hosts)]
    assert said == ["needs: differs from that of app1"]


def test_two_instances_do_not_share_a_port() -> None:
    """It follows from the name of the app, as that of the app does, which `port` can change."""
    apps = [
        {**APP, "name": name, "domains": [f"{name}.example.org"], "needs": {"valkey": {}}}
        for name in ("app-78", "app-219")
    ]
    groups = {"edge": ["app1"], "app": ["app1"], "cache": ["app1"]}
    said = [f"{one.subject}: {one.what}" for one in inventory_problems(groups, {"app1": HostView(apps)})]
    assert "app app-219: would have the port of that of app app-78" in said
