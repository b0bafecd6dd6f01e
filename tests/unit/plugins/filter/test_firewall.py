"""Each host lets in what the inventory gives it to do, from those who ask for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.farrier.kit.plugins.filter.firewall import firewall_rules, firewall_ssh_clients
from ansible_collections.farrier.kit.plugins.plugin_utils import valkey
from ansible_collections.farrier.kit.plugins.plugin_utils.exporters import EXPORTERS

APP = {
    "name": "shop",
    "domains": ["shop.example.org"],
    "port": 20123,
    "needs": {"postgresql": {}, "valkey": {}},
}
BOT = {"name": "bot", "port": 20124}
GROUPS = {
    "edge": ["edge1", "one"],
    "app": ["app1", "one"],
    "database": ["db1", "db2"],
    "cache": ["db1"],
    "backup": ["vault"],
}
HOSTVARS: dict[str, dict[str, Any]] = {
    "edge1": {"ansible_host": "10.0.0.1", "apps": [APP]},
    "one": {"ansible_host": "fd00::2", "apps": [APP, BOT]},
    "app1": {"ansible_host": "10.0.0.3", "apps": [APP, BOT]},
    "db1": {"ansible_host": "10.0.0.4"},
    "db2": {"ansible_host": "192.0.2.5", "private_address": "10.0.0.5"},
    "vault": {"ansible_host": "10.0.0.6"},
}


def let_in(host: str, has_http3: bool = False) -> set[tuple[str, int, tuple[str, ...]]]:
    """Return protocol, port and addresses of what a host lets in."""
    rules = firewall_rules(host, GROUPS, HOSTVARS, HOSTVARS[host].get("apps", []), has_http3)
    return {(rule["protocol"], rule["port"], tuple(rule["addresses"])) for rule in rules}


def test_an_edge_lets_everyone_in() -> None:
    """By UDP only with HTTP/3."""
    assert let_in("edge1") == {("tcp", 80, ()), ("tcp", 443, ())}
    assert let_in("edge1", has_http3=True) - let_in("edge1") == {("udp", 443, ())}


def test_an_app_host_lets_in_the_edges_on_other_machines() -> None:
    """On the ports of apps that they serve; a bot has none."""
    assert let_in("app1") == {("tcp", 20123, ("10.0.0.1", "fd00::2"))}
    assert let_in("one") - let_in("edge1") == {("tcp", 20123, ("10.0.0.1",))}


def test_a_database_host_lets_in_the_apps_and_the_other_databases() -> None:
    """At their private addresses. The cache lets in the apps alone."""
    apps = ("10.0.0.3", "fd00::2")
    assert let_in("db1") == {
        ("tcp", 5432, ("10.0.0.3", "10.0.0.5", "fd00::2")),
        ("tcp", valkey.port("shop"), apps),
    }
    assert let_in("db2") == {("tcp", 5432, ("10.0.0.3", "10.0.0.4", "fd00::2"))}


def test_a_machine_with_everything_opens_no_port_for_itself() -> None:
    """Sockets of the machine need none."""
    groups = {"edge": ["one"], "app": ["one"], "database": ["one"], "cache": ["one"]}
    rules = firewall_rules("one", groups, HOSTVARS, HOSTVARS["one"]["apps"])
    assert [rule["port"] for rule in rules] == [80, 443]


def test_what_the_operator_allows_comes_with_the_rest() -> None:
    """With the defaults of the contract."""
    hostvars = HOSTVARS | {"vault": {"firewall_allow": [{"port": 9000, "comment": "the old site"}]}}
    assert firewall_rules("vault", GROUPS, hostvars, []) == [
        {"port": 9000, "protocol": "tcp", "addresses": [], "comment": "the old site"}
    ]


def test_a_backup_host_lets_in_those_that_save_to_it() -> None:
    """By SSH, whatever else may use that."""
    assert firewall_ssh_clients("vault", GROUPS, HOSTVARS) == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "fd00::2"]
    assert firewall_ssh_clients("app1", GROUPS, HOSTVARS) == []


def test_exporters_let_in_the_monitor_alone() -> None:
    """Those of each group. The monitor asks its own by the loopback interface."""
    groups = {**GROUPS, "monitor": ["vault"]}
    vault = ("10.0.0.6",)

    def added(host: str) -> set[tuple[str, int, tuple[str, ...]]]:
        rules = firewall_rules(host, groups, HOSTVARS, HOSTVARS[host].get("apps", []))
        return {(one["protocol"], one["port"], tuple(one["addresses"])) for one in rules} - let_in(host)

    assert added("edge1") == {("tcp", 9100, vault), ("tcp", 9113, vault)}
    assert added("app1") == {("tcp", 9100, vault)}
    assert added("db1") == {("tcp", 9100, vault), ("tcp", 9187, vault), ("tcp", 9121, vault)}
    assert added("vault") == set()


def test_the_role_metrics_has_the_ports_that_are_opened() -> None:
    """Its exporters have Debian's names."""
    (ports,) = re.findall("__metrics_ports: (.+)", Path("roles/metrics/vars/main.yml").read_text())
    names = {"postgresql": "postgres", "valkey": "redis"}
    assert yaml.safe_load(ports) == {names.get(name, name): port for name, (port, _) in EXPORTERS.items()}
