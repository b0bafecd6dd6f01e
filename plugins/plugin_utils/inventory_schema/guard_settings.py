"""The inventory variables of firewall and SSH server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator

from .explain import model_problems
from .hosts import HostView
from .mistakes import MistakeError, Problem, merge
from .model import Network, Strict, key


def nft_comment(value: str) -> str:
    """A comment as nft has it."""
    if not value.isprintable() or '"' in value or not 1 <= len(value.encode()) <= 120:
        raise MistakeError(
            "is not a comment of nft", "write what it is for, without quotation marks, in up to 120 bytes"
        )
    return value


class Allowed(Strict):
    """A port that the inventory does not explain by itself."""

    port: int = key("Port of the host.", "number", 9000, ge=1, le=65_535)
    protocol: Literal["tcp", "udp"] = key("Protocol of the port.", "tcp or udp", "udp", "tcp")
    addresses: list[Network] = key(
        "Addresses and networks that are let in. `[]`: everyone.", "list of addresses", ["10.0.0.0/8"], []
    )
    comment: Annotated[str, AfterValidator(nft_comment)] = key(
        "What it is for. `nft list table inet farrier` shows it.", "text", "the old site"
    )


class Guard(Strict):
    """Variables of firewall and SSH server, for each host. See [guard.md](guard.md)."""

    firewall_enabled: bool = key(
        "Whether the hosts let in only what the inventory explains.", "true or false", True, False
    )
    firewall_allow: list[Allowed] = key(
        "Further ports that are let in.",
        "list of mappings",
        [{"port": 9000, "addresses": ["10.0.0.0/8"], "comment": "the old site"}],
        [],
    )
    firewall_close: list[Annotated[int, key("", "number", 9000, ge=1, le=65_535)]] = key(
        "Ports whose listeners the first run may close. It stops at others. By default: mDNS and LLMNR.",
        "list of numbers",
        [9000],
        [5353, 5355],
    )
    firewall_ssh_from: list[Network] = key(
        "Addresses and networks that SSH lets in. `[]`: everyone.", "list of addresses", ["192.0.2.0/24"], []
    )
    ssh_hardened: bool = key(
        "Whether the SSH server takes keys only, and modern algorithms.", "true or false", True, False
    )


def guard_problems(hosts: Mapping[str, HostView]) -> list[Problem]:
    """Return every mistake that concerns firewall and SSH server.

    Args:
        hosts: Every host of the kit's groups.
    """
    found = []
    for host, view in hosts.items():
        own = {name: value for name, value in view.settings.items() if name in Guard.model_fields}
        for problem in model_problems("firewall and SSH", Guard, own):
            problem.hosts, problem.location = [host], view.setting_location(problem.key)
            found.append(problem)
    return merge(found)
