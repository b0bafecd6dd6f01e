"""The monitor asks what there is of each host, and asks apps as their users do."""

from __future__ import annotations

from typing import Any

from ansible_collections.farrier.kit.plugins.filter.monitoring import (
    monitoring_probes,
    monitoring_targets,
    silenced,
)

SHOP = {"name": "shop", "domains": ["*.example.org", "shop.example.org"], "needs": {"valkey": {}}}
API = {
    "name": "api",
    "domains": ["shop.example.org"],
    "path": "/api/",
    "health_path": "/alive",
    "health_status": 302,
    "certificate": {"source": "self_signed"},
    "needs": {"postgresql": {}},
}
BOT = {"name": "bot"}
GROUPS = {
    "edge": ["edge1"],
    "app": ["app1", "app2"],
    "database": ["db1"],
    "cache": ["db1"],
    "monitor": ["watch"],
    "all": ["edge1", "app1", "app2", "db1", "watch", "printer"],
}
HOSTVARS: dict[str, dict[str, Any]] = {
    "edge1": {"ansible_host": "10.0.0.1", "apps": [SHOP, API]},
    "app1": {"ansible_host": "10.0.0.2", "apps": [SHOP, BOT]},
    "app2": {"ansible_host": "10.0.0.3", "apps": [SHOP, API]},
    "db1": {"ansible_host": "fd00::4", "apps": [SHOP, API, BOT]},
    "watch": {"ansible_host": "10.0.0.5", "apps": [SHOP, API, BOT]},
}


def test_each_exporter_of_each_host_is_asked() -> None:
    """The monitor asks its own at the loopback interface; hosts of no group of the kit are left alone."""
    targets = monitoring_targets("watch", GROUPS, HOSTVARS)
    asked = {job: [(one["instance"], one["address"]) for one in found] for job, found in targets.items()}
    assert asked == {
        "node": [
            ("edge1", "10.0.0.1:9100"),
            ("app1", "10.0.0.2:9100"),
            ("app2", "10.0.0.3:9100"),
            ("db1", "[fd00::4]:9100"),
            ("watch", "127.0.0.1:9100"),
        ],
        "nginx": [("edge1", "10.0.0.1:9113")],
        "postgresql": [("db1", "[fd00::4]:9187")],
        "valkey": [("db1", "[fd00::4]:9121")],
    }
    [instance] = targets["valkey"]
    assert (instance["app"], instance["socket"]) == ("shop", "unix:///run/farrier-cache/shop/valkey.sock")


def test_single_machine_needs_no_address() -> None:
    """It asks itself alone."""
    targets = monitoring_targets("one", {"app": ["one"], "monitor": ["one"]}, {"one": {}})
    assert targets["node"] == [{"instance": "one", "address": "127.0.0.1:9100"}]


def test_apps_are_asked_as_their_users_ask() -> None:
    """By the first name that is one, below their path, for the answer that is theirs."""
    assert monitoring_probes(GROUPS["edge"], HOSTVARS) == [
        {
            "app": "api",
            "url": "https://shop.example.org/api/alive",
            "status": 302,
            "verified": False,
            "module": "unverified_302",
        },
        {
            "app": "shop",
            "url": "https://shop.example.org/healthz",
            "status": 200,
            "verified": True,
            "module": "verified_200",
        },
    ]


def test_an_upgrade_silences_what_a_host_takes_with_it() -> None:
    """Apps that another host serves meanwhile may ring."""
    assert silenced("app1", GROUPS, HOSTVARS) == ["instance=app1", "host=app1"]
    assert silenced("edge1", GROUPS, HOSTVARS)[2:] == ["app=~api|shop"]
    assert silenced("db1", GROUPS, HOSTVARS)[2:] == ["app=~api|shop"]
    assert silenced("watch", GROUPS, HOSTVARS)[2:] == []
    alone = {"edge": ["edge1"], "app": ["app1"]}
    assert silenced("app1", alone, HOSTVARS)[2:] == ["app=~bot|shop"]
