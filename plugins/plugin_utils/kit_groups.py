"""The groups of an inventory that the kit knows, and what each is for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

# Every inventory has them.
GROUPS = {"edge": "nginx and TLS", "app": "gunicorn and the releases"}
# Service that an app may need, and the group whose hosts have it.
SERVICES = {"postgresql": "database", "valkey": "cache"}
# Those that an inventory may do without.
OTHER_GROUPS = (*SERVICES.values(), "backup", "monitor")


def host_pattern(groups: Collection[str]) -> str:
    """Return the pattern of all hosts of the kit's groups; a play warns of a group that is not there."""
    return ":".join(group for group in (*GROUPS, *OTHER_GROUPS) if group in groups)


def hosts(groups: Mapping[str, list[str]]) -> list[str]:
    """Return the hosts of the kit's groups."""
    return list(dict.fromkeys(host for group in (*GROUPS, *OTHER_GROUPS) for host in groups.get(group, [])))
