"""What a firewall lets in, as statements of nft, and why it must not be loaded yet."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What is let in.

    Attributes:
        port: Of the host.
        comment: What it is for.
        protocol: tcp or udp.
        addresses: Addresses and networks that are let in; none: everyone.
    """

    port: int
    comment: str
    protocol: str = "tcp"
    addresses: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as roles have it."""
        return asdict(self)


def sources(addresses: Iterable[str]) -> Iterator[str]:
    """Yield what matches packets from these addresses, by family; "" if all do, since none are given."""
    given = sorted({ipaddress.ip_network(address) for address in addresses}, key=str)
    if not given:
        yield ""
    for family, name in ((4, "ip"), (6, "ip6")):
        of_family = ipaddress.collapse_addresses([one for one in given if one.version == family])  # type: ignore[type-var]  # of one family each
        # A network of one address is written as that, as nft itself does.
        if texts := [str(one.network_address if one.num_addresses == 1 else one) for one in of_family]:
            yield f"{name} saddr {{ {', '.join(texts)} }}"


def statements(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the statements of nft that accept what the rules let in."""
    return [
        " ".join(
            filter(
                None, [source, f'{rule["protocol"]} dport {rule["port"]} accept comment "{rule["comment"]}"']
            )
        )
        for rule in rules
        for source in sources(rule["addresses"])
    ]


def public_ports(
    rules: Iterable[Mapping[str, Any]], published: Iterable[Mapping[str, Any]]
) -> dict[str, list[int]]:
    """Return by protocol the ports that everyone is let in to, and that are not passed on to containers."""
    passed_on = {(one["protocol"], one["port"]) for one in published}
    found: dict[str, set[int]] = {}
    for rule in rules:
        if not rule["addresses"] and (rule["protocol"], rule["port"]) not in passed_on:
            found.setdefault(rule["protocol"], set()).add(rule["port"])
    return {protocol: sorted(ports) for protocol, ports in found.items()}


def problems(
    facts: Mapping[str, Any],
    rules: Iterable[Mapping[str, Any]],
    closed: Iterable[int],
    ssh_from: Iterable[str],
) -> list[str]:
    """Return why the rules of a host must not be loaded, each with the fix.

    Args:
        facts: What the module firewall_facts returns of the host.
        rules: What the host is to let in.
        closed: Ports that may be closed.
        ssh_from: Whom SSH lets in; empty: everyone.
    """
    return [
        *(
            f"{name} is active, and would decide beside Farrier. {fix}"
            for name, fix in facts["managers"].items()
        ),
        *_shut_out(facts, ssh_from),
        *(_unexplained(facts, rules, closed) if facts["is_first"] else []),
    ]


def _shut_out(facts: Mapping[str, Any], ssh_from: Iterable[str]) -> Iterator[str]:
    session = facts["session"]
    if not facts["ssh_ports"]:
        yield "`sshd -T` names no port that it listens on. See what `sshd -t` says"
    elif session and session["port"] not in facts["ssh_ports"]:
        yield (
            f"Ansible has come to port {session['port']}, which sshd will not listen on: `sshd -T` says "
            f"{', '.join(map(str, facts['ssh_ports']))}. Correct `Port` in /etc/ssh, or ansible_port"
        )
    networks = [ipaddress.ip_network(one) for one in ssh_from]
    if session and session["address"] and networks:
        address = ipaddress.ip_address(session["address"].partition("%")[0])
        if not any(address in network for network in networks):
            yield (
                f"Ansible comes from {address}, which firewall_ssh_from leaves out. Add it: "
                f"firewall_ssh_from: [{', '.join(map(str, [*networks, address]))}]"
            )


def _unexplained(
    facts: Mapping[str, Any], rules: Iterable[Mapping[str, Any]], closed: Iterable[int]
) -> Iterator[str]:
    explained = {(rule["protocol"], rule["port"]) for rule in rules}
    explained |= {("tcp", port) for port in facts["ssh_ports"]}
    explained |= {("udp", port) for port in facts["dhcp_ports"]}
    explained |= {(one["protocol"], one["port"]) for one in facts["published"]}
    explained |= {(protocol, port) for port in closed for protocol in ("tcp", "udp")}
    for one in facts["listeners"]:
        if (one["protocol"], one["port"]) not in explained:
            of = f" ({one['unit']})" if one["unit"] else ""
            allowed = f"{{port: {one['port']}, protocol: {one['protocol']}, comment: {one['process']}}}"
            yield (
                f"{one['process']}{of} listens on {one['protocol']} port {one['port']}, which would be "
                f"closed. To leave it open, add to firewall_allow: {allowed}. "
                f"To close it, add to firewall_close: [{one['port']}]"
            )
