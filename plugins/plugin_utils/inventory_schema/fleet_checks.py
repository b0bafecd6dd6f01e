"""What the hosts of a fleet must agree on, and how edges reach app hosts on other machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from . import ports
from .batches import drain_batch_size
from .explain import model_problems
from .fleet_settings import Fleet, private_address, resolved_address
from .hosts import HostView, site, without_address
from .mistakes import MistakeError, Problem, Unresolved, merge

Hosts = Mapping[str, HostView]


def fleet_problems(groups: Mapping[str, list[str]], hosts: Hosts) -> list[Problem]:
    """Return every mistake that concerns the hosts as a fleet.

    Args:
        groups: Hosts by group.
        hosts: Every host of the groups `edge` and `app`.
    """
    edges, apps = ({host: hosts[host] for host in groups.get(group, [])} for group in ("edge", "app"))
    settings: list[Problem] = []
    for host, view in hosts.items():
        settings += _setting_problems(host, view, is_app_host=host in apps)
    wrong = {host for problem in settings for host in problem.hosts}
    misplaced = {host for problem in settings for host in problem.hosts if problem.key == "private_address"}
    agreed = {host: _fleet(view) for host, view in apps.items() if host not in wrong}
    addresses = list(_address_problems(edges, apps, misplaced))
    told = misplaced.union(problem.subject.removeprefix("host ") for problem in addresses)
    return [
        *merge(settings),
        *_disagreements(agreed, apps),
        *_serving_problems(agreed, apps),
        *_orphan_problems(edges, apps),
        *merge([*_front_end_problems(edges, apps)]),
        *merge([*_port_problems(apps), *_port_disagreements(edges, apps)]),
        *addresses,
        *_peer_problems(edges, told),
    ]


def _own(view: HostView) -> dict[str, object]:
    return {key: value for key, value in view.settings.items() if key in Fleet.model_fields}


def _fleet(view: HostView) -> Fleet:
    return Fleet.model_validate(_own(view))


def _setting_problems(host: str, view: HostView, *, is_app_host: bool) -> list[Problem]:
    """Check the variables of a host by themselves; those of a fleet are for app hosts."""
    found = model_problems("group app", Fleet, _own(view))
    of_host = [problem for problem in found if is_app_host or problem.key == "private_address"]
    for problem in of_host:
        problem.hosts, problem.location = [host], view.setting_location(problem.key)
        if problem.key == "private_address":
            problem.subject = f"host {host}"
    return of_host


def _disagreements(fleets: Mapping[str, Fleet], apps: Hosts) -> Iterator[Problem]:
    for key in Fleet.model_fields:
        if key == "private_address" or not fleets:
            continue
        said = {host: _written(getattr(fleet, key)) for host, fleet in fleets.items()}
        first, *others = said
        other = next((host for host in others if said[host] != said[first]), None)
        if other:
            what = f"is {said[first]} on {first} and {said[other]} on {other}"
            fix = "set it once for all app hosts, in group_vars/all.yml"
            yield Problem("group app", key, "", what, fix, apps[other].setting_location(key))


def _written(value: object) -> str:
    return "not set" if value is None else json.dumps(value)


def _serving_problems(fleets: Mapping[str, Fleet], apps: Hosts) -> Iterator[Problem]:
    sites = Counter(site(raw) for view in apps.values() for _, raw in view.served().values())
    counts = {name: count for (name, _), count in sites.items()}
    for host, fleet in list(fleets.items())[:1]:
        share = fleet.release_min_serving_hosts
        stuck = [name for name, count in counts.items() if count > 1 and not drain_batch_size(count, share)]
        if stuck:
            least = min(counts[name] for name in stuck)
            what = f"keeps all app hosts of {', '.join(stuck)} in rotation, so none could ever be drained"
            fix = f"write a number below {least}, how many app hosts there are, or add app hosts"
            location = apps[host].setting_location("release_min_serving_hosts")
            yield Problem("group app", "release_min_serving_hosts", json.dumps(share), what, fix, location)


def _orphan_problems(edges: Hosts, apps: Hosts) -> list[Problem]:
    """Find apps that an edge serves and no host runs; another check reports what is not a list."""
    if not apps or not all(isinstance(view.apps, list) for view in apps.values()):
        return []
    running = {site(raw) for view in apps.values() for _, raw in view.named().values()}
    what = "is in `apps` of an edge, and no host of group app has it with these domains"
    fix = "add it to `apps` of a host of group app, or remove it from the edge"
    return merge(
        [
            Problem(f"app {name}", "", "", what, fix, view.location(index, "name"), [host])
            for host, view in edges.items()
            for name, (index, raw) in view.named().items()
            if site(raw) not in running
        ]
    )


def _front_end_problems(edges: Hosts, apps: Hosts) -> Iterator[Problem]:
    for edge, view in edges.items():
        for name, (index, raw) in view.served().items():
            static = raw.get("static")
            if edge not in apps and isinstance(static, Mapping) and "/" in static:
                what = "has a front end at /, but its files are on the app hosts alone"
                fix = "remove / from static, and app_paths, so that the app answers; or run it on the edges"
                yield Problem(f"app {name}", "static", "", what, fix, view.location(index, "static"), [edge])


def _port_problems(apps: Hosts) -> Iterator[Problem]:
    for host, view in apps.items():
        owners: dict[int, str] = {}
        for name, (index, raw) in view.served().items():
            port = _port(name, raw)
            if owners.setdefault(port, name) != name:
                what = f"is also the port of app {owners[port]}"
                fix = f"give one of them `port:`, another from {ports.LOWEST} to {ports.HIGHEST}"
                yield Problem(
                    f"app {name}", "port", str(port), what, fix, view.location(index, "port"), [host]
                )


def _port_disagreements(edges: Hosts, apps: Hosts) -> Iterator[Problem]:
    for edge, host, names in _reaching(edges, apps):
        for name in names:
            index, raw = apps[host].named()[name]
            port, expected = _port(name, raw), _port(name, edges[edge].named()[name][1])
            if port != expected:
                what = f"is where it listens, but {edge} expects it on {expected}"
                fix = "write the same port on edge and app hosts, in group_vars/all.yml"
                location = apps[host].location(index, "port")
                yield Problem(f"app {name}", "port", str(port), what, fix, location, [host])


def _port(name: str, raw: Mapping[str, Any]) -> int:
    port = raw.get("port")
    return port if isinstance(port, int) else ports.derived(name)


def _reaching(edges: Hosts, apps: Hosts) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each edge, an app host on another machine, and the apps for which it has to reach it."""
    for host, view in apps.items():
        for edge, other in edges.items():
            sites = {site(raw) for _, raw in view.served().values()}
            names = [name for name, (_, raw) in other.served().items() if site(raw) in sites]
            if names and edge != host:
                yield edge, host, names


def _address_problems(edges: Hosts, apps: Hosts, known: set[str]) -> Iterator[Problem]:
    """Find hosts without an address where they need one, and app hosts that share one.

    Args:
        edges: Hosts of the group `edge`.
        apps: Hosts of the group `app`.
        known: Hosts whose wrong `private_address` is reported already.
    """
    pairs = [(edge, host) for edge, host, _ in _reaching(edges, apps)]
    reasons: dict[str, str] = {}
    for edge, host in pairs:
        reasons.setdefault(host, f"{edge} has to reach it there")
    for edge, host in pairs:
        reasons.setdefault(edge, f"{host} accepts only edges whose address it knows")
    owners: dict[str, str] = {}
    for host, view in {**edges, **apps}.items():
        try:
            address = _address(host, view)
        except MistakeError as mistake:
            if host in reasons and host not in known:
                yield without_address(host, view, mistake, reasons[host])
            continue
        owner = owners.setdefault(address, host) if host in apps else host
        if owner != host and any(reached in (owner, host) for _, reached in pairs):
            what, fix = f"is also the address of app host {owner}", "give each app host an address of its own"
            location = view.setting_location("private_address")
            yield Problem(f"host {host}", "private_address", json.dumps(address), what, fix, location)


def _peer_problems(edges: Hosts, known: set[str]) -> Iterator[Problem]:
    """Find edges that others pass challenges on to, for the same site, and that have no address.

    Args:
        edges: Hosts of the group `edge`.
        known: Hosts whose wrong address is reported already.
    """
    sites = {edge: {site(raw) for _, raw in view.served().values()} for edge, view in edges.items()}
    for host, view in edges.items():
        peer = next((edge for edge in edges if edge != host and sites[edge] & sites[host]), None)
        if peer is None or host in known:
            continue
        try:
            resolved_address(host, view.settings)
        except MistakeError as mistake:
            yield without_address(host, view, mistake, f"{peer} passes challenges for certificates on to it")


def _address(host: str, view: HostView) -> str:
    for key in ("private_address", "ansible_host"):
        value = view.settings.get(key)
        if isinstance(value, Unresolved):
            raise MistakeError(value.what, value.fix)
    return private_address(host, view.settings)
