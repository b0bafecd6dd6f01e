"""The inventory variables of monitoring, and what must hold between the monitor and what it watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .fleet_settings import resolved_address
from .hosts import HostView, without_address
from .mistakes import MistakeError, Problem


def monitor_problems(groups: Mapping[str, list[str]], hosts: Mapping[str, HostView]) -> list[Problem]:
    """Return every mistake that concerns monitoring.

    Args:
        groups: Hosts by group.
        hosts: Every host of the kit's groups.
    """
    monitors = groups.get("monitor", [])
    return [*_group_problems(monitors), *_address_problems(monitors, hosts)] if monitors else []


def _group_problems(monitors: list[str]) -> Iterator[Problem]:
    if len(monitors) > 1:
        what = f"has {len(monitors)} hosts ({', '.join(monitors)}), and one watches all"
        fix = f"leave one of them: {monitors[0]}. Who watches the monitor: monitoring_heartbeat_url"
        yield Problem("group monitor", "", "", what, fix)


def _address_problems(monitors: list[str], hosts: Mapping[str, HostView]) -> Iterator[Problem]:
    """Find hosts that cannot reach each other; one that watches itself alone needs no address."""
    for host, view in hosts.items() if len(hosts) > 1 else ():
        why = "let in by the hosts that it watches" if host in monitors else "asked by the monitor"
        try:
            resolved_address(host, view.settings)
        except MistakeError as mistake:
            yield without_address(host, view, mistake, f"the host is {why} at this address")
