"""Rules become statements of nft, and what would be shut out is named with the way out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.firewall import (
    Rule,
    problems,
    public_ports,
    sources,
    statements,
)

SESSION = {"user": "ann", "started": 1.0, "address": "192.0.2.7", "port": 22}
FACTS: dict[str, Any] = {
    "is_first": True,
    "managers": {},
    "published": [],
    "ssh_ports": [22],
    "dhcp_ports": [68, 546],
    "session": SESSION,
    "listeners": [],
}


def listener(port: int, protocol: str = "tcp", unit: str = "old.service") -> dict[str, Any]:
    """Return a listener as the module finds it."""
    return {"port": port, "protocol": protocol, "process": "java", "pid": 7, "unit": unit}


def found(ssh_from: tuple[str, ...] = (), closed: tuple[int, ...] = (), **facts: Any) -> list[str]:
    """Return the problems of a host that is to let in port 80."""
    return problems({**FACTS, **facts}, [Rule(80, "nginx").as_dict()], closed, ssh_from)


def test_addresses_are_matched_by_family() -> None:
    """Twice the same, or one within another, is one."""
    given = ["10.0.0.1", "fd00::1", "10.0.0.1/32", "10.1.0.0/16", "10.1.2.3"]
    assert list(sources(given)) == ["ip saddr { 10.0.0.1, 10.1.0.0/16 }", "ip6 saddr { fd00::1 }"]
    assert list(sources([])) == [""]


def test_a_rule_is_a_statement_of_each_family() -> None:
    """Without addresses, it is one for everyone."""
    rules = [
        Rule(443, "nginx, HTTP/3", "udp").as_dict(),
        Rule(5432, "PostgreSQL", addresses=["10.0.0.1", "fd00::1"]).as_dict(),
    ]
    assert statements(rules) == [
        'udp dport 443 accept comment "nginx, HTTP/3"',
        'ip saddr { 10.0.0.1 } tcp dport 5432 accept comment "PostgreSQL"',
        'ip6 saddr { fd00::1 } tcp dport 5432 accept comment "PostgreSQL"',
    ]


def test_ports_for_everyone_are_not_tracked() -> None:
    """But for those that are passed on to containers: that needs a memory of connections."""
    rules = [
        Rule(443, "nginx").as_dict(),
        Rule(80, "nginx").as_dict(),
        Rule(443, "nginx, HTTP/3", "udp").as_dict(),
        Rule(5432, "PostgreSQL", addresses=["10.0.0.1"]).as_dict(),
    ]
    assert public_ports(rules, []) == {"tcp": [80, 443], "udp": [443]}
    assert public_ports(rules, [{"port": 80, "protocol": "tcp"}]) == {"tcp": [443], "udp": [443]}


def test_a_listener_that_nobody_explains_is_named_with_both_ways_out() -> None:
    """The lines can be copied into the inventory."""
    [problem] = found(listeners=[listener(9000), listener(80), listener(22), listener(68, "udp")])
    assert "java (old.service) listens on tcp port 9000, which would be closed" in problem
    assert "firewall_allow: {port: 9000, protocol: tcp, comment: java}" in problem
    assert "add to firewall_close: [9000]" in problem


@pytest.mark.parametrize(
    "facts",
    [
        {"closed": (9000,)},
        {"published": [{"port": 9000, "protocol": "tcp"}]},
        {"is_first": False},
    ],
)
def test_a_listener_may_be_closed_by_name_and_later(facts: dict[str, Any]) -> None:
    """What is passed on to a container stays open. On later runs, a new listener has never been open."""
    assert found(listeners=[listener(9000)], **facts) == []
    assert len(found(listeners=[listener(9000, "udp")])) == 1


def test_the_address_of_ansible_is_not_shut_out() -> None:
    """The fix has it beside the others."""
    [problem] = found(ssh_from=("198.51.100.0/24",))
    assert "Ansible comes from 192.0.2.7, which firewall_ssh_from leaves out" in problem
    assert "firewall_ssh_from: [198.51.100.0/24, 192.0.2.7]" in problem
    assert found(ssh_from=("198.51.100.0/24", "192.0.2.0/24")) == []
    mapped = {**SESSION, "address": "fe80::1%eth0"}
    assert found(ssh_from=("fe80::/10",), session=mapped) == []
    assert found(ssh_from=("198.51.100.0/24",), session=None) == []


def test_a_port_that_sshd_will_not_listen_on_is_told() -> None:
    """The rules have those of `sshd -T`, so the one that Ansible uses would be closed."""
    [problem] = found(ssh_ports=[2222])
    assert "port 22, which sshd will not listen on: `sshd -T` says 2222" in problem
    [problem] = found(ssh_ports=[])
    assert "`sshd -T` names no port" in problem


def test_another_firewall_is_told_with_its_fix() -> None:
    """Two of them decide nothing well."""
    [problem] = found(managers={"ufw": "ufw disable"})
    assert problem == "ufw is active, and would decide beside Farrier. ufw disable"
