"""Whether the inventory has what its apps need beside their processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import valkey
from ..kit_groups import SERVICES
from .explain import suggestion
from .fleet_settings import private_address
from .hosts import HostView, without_address
from .mistakes import MistakeError, Problem, merge

_PURPOSES = {"postgresql": "PostgreSQL", "valkey": "Valkey"}
# How many hosts a group may have, and what Farrier sets up on them.
_MOST = {"postgresql": (2, "a primary and one replica"), "valkey": (1, "one")}


def needs_problems(groups: Mapping[str, list[str]], hosts: Mapping[str, HostView]) -> list[Problem]:
    """Return every mistake that concerns what apps need.

    Args:
        groups: Hosts by group.
        hosts: Every host of the kit's groups.
    """
    app_hosts = {host: hosts[host] for host in groups.get("app", [])}
    problems: list[Problem] = []
    for service, group in SERVICES.items():
        servers = groups.get(group, [])
        users = [host for host, view in app_hosts.items() if any(_needing(view, service))]
        if users and not servers:
            others = [name for name in groups if name not in ("all", "ungrouped")]
            problems += _without_server(app_hosts, service, group, suggestion(group, others))
        most, purpose = _MOST[service]
        if len(servers) > most:
            what = f"has {len(servers)} hosts ({', '.join(servers)}), and Farrier sets up {purpose}"
            fix = (
                "take hosts out of it that have no data"
                if most > 1
                else f"leave one host in it: {servers[0]}"
            )
            problems.append(Problem(f"group {group}", "", "", what, fix))
        elif servers:
            problems += _unreachable(hosts, servers, users)
            problems += _without_network(app_hosts, servers, service)
    return [*merge(problems), *_disagreements(app_hosts), *merge([*_shared_ports(app_hosts)])]


def _needing(view: HostView, service: str) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for name, (index, raw) in view.named().items():
        needs = raw.get("needs")
        if isinstance(needs, Mapping) and needs.get(service) is not None:
            yield name, index, raw


def _without_server(
    app_hosts: Mapping[str, HostView], service: str, group: str, meant: str
) -> Iterator[Problem]:
    fix = f"put the host for {_PURPOSES[service]} into it, which may be an app host"
    if meant:
        fix = f"rename the group {meant} to {group}"
    fix += f". If {group} has lost its host by mistake, put that one back: it has the data"
    for host, view in app_hosts.items():
        for name, index, _ in _needing(view, service):
            key = f"needs.{service}"
            what = f"needs a host of the group {group}, which has none"
            yield Problem(f"app {name}", key, "", what, fix, view.location(index, key), [host])


def _unreachable(hosts: Mapping[str, HostView], servers: list[str], users: list[str]) -> Iterator[Problem]:
    """Find hosts without an address where app hosts and their servers are different machines."""
    others = [host for host in users if [host] != servers]
    everyone = dict.fromkeys([*servers, *others])
    for host in everyone if len(everyone) > 1 else ():
        try:
            private_address(host, hosts[host].settings)
        except MistakeError as mistake:
            other = next(one for one in reversed(everyone) if one != host)
            reason = (
                f"{other} has to reach it there" if host in servers else f"{servers[0]} lets it in by that"
            )
            yield without_address(host, hosts[host], mistake, reason)


def _without_network(
    app_hosts: Mapping[str, HostView], servers: list[str], service: str
) -> Iterator[Problem]:
    for host, view in app_hosts.items():
        for name, index, raw in _needing(view, service):
            if [host] != servers and raw.get("outbound") is False:
                where = " or ".join(server for server in servers if server != host)
                what = f"leaves the app no network, but needs.{service} is on another machine, {where}"
                fix = "remove outbound" + (", or run the app on that machine" if len(servers) == 1 else "")
                yield Problem(
                    f"app {name}", "outbound", "false", what, fix, view.location(index, "outbound"), [host]
                )


def _disagreements(app_hosts: Mapping[str, HostView]) -> Iterator[Problem]:
    """Find apps whose needs differ from host to host."""
    said: dict[str, tuple[str, object]] = {}
    for host, view in app_hosts.items():
        for name, (index, raw) in view.named().items():
            first, needs = said.setdefault(name, (host, raw.get("needs") or {}))
            if (raw.get("needs") or {}) != needs:
                what, fix = (
                    f"differs from that of {first}",
                    "write the same for all hosts, in group_vars/all.yml",
                )
                yield Problem(f"app {name}", "needs", "", what, fix, view.location(index, "needs"), [host])


def _shared_ports(app_hosts: Mapping[str, HostView]) -> Iterator[Problem]:
    """Find apps whose names make up the same port for their instances."""
    owners: dict[int, str] = {}
    for host, view in app_hosts.items():
        for name, index, _ in _needing(view, "valkey"):
            owner = owners.setdefault(valkey.port(name), name)
            if owner != name:
                what, fix = f"would have the port of that of app {owner}", "give one of the apps another name"
                location = view.location(index, "needs.valkey")
                yield Problem(f"app {name}", "needs.valkey", "", what, fix, location, [host])
