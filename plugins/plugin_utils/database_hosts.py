"""Which of the database hosts is the primary, by what is on them and what app hosts have recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FAILOVER = "ansible-playbook farrier.kit.database_failover"


@dataclass(frozen=True)
class Found:
    """What there is on a database host.

    Attributes:
        role: "primary", "replica", or "" if it has no server yet.
        release: Of the distribution, as in "13"; the version of PostgreSQL follows from it.
    """

    role: str
    release: str


def primary(hosts: list[str], found: Mapping[str, Found], recorded: Iterable[str]) -> tuple[str, str]:
    """Return the primary and what forbids to go on; one of them is "".

    Args:
        hosts: Of the group `database`, in the order of the inventory.
        found: By host, for those that were asked: others do not answer, or are not of this run.
        recorded: What each app host knows as the primary.
    """
    if not hosts:
        return "", ""
    releases = {host: found[host].release for host in hosts if host in found}
    if len(set(releases.values())) > 1:
        return "", _other_release(releases)
    by_role: dict[str, list[str]] = {"primary": [], "replica": [], "": []}
    for host in hosts:
        if host in found:
            by_role[found[host].role].append(host)
    primaries, unasked = by_role["primary"], [host for host in hosts if host not in found]
    used = next((host for host in recorded if host in hosts), "")
    if len(primaries) > 1:
        return "", _two(primaries, used)
    if primaries and used in unasked:
        return "", (
            f"{primaries[0]} is a primary, but apps use {used}, which was not asked. Bring {used} back. If "
            f"it is dead, and {primaries[0]} is to take its place: {FAILOVER} -e primary=dead"
        )
    if not primaries and by_role["replica"] and not unasked:
        return "", _none(by_role["replica"], hosts)
    return (primaries or ([used] if used in unasked else unasked) or hosts)[0], ""


def _other_release(releases: Mapping[str, str]) -> str:
    said = ", ".join(f"{host} has release {release}" for host, release in releases.items())
    return (
        "A replica needs the version of PostgreSQL of its primary, which follows from the distribution, but "
        f"{said}. Install the same release on both hosts, or leave one of them in the group database"
    )


def _two(primaries: list[str], used: str) -> str:
    stale = next((host for host in primaries if host != used), "") if used in primaries else "HOST"
    of_apps = f"Apps use {used}" if used in primaries else "Look which of them has the data"
    return (
        f"{' and '.join(primaries)} are both primaries, each with data of its own. {of_apps}. To make "
        f"{stale} a replica, and keep its data in a directory beside: {FAILOVER} -e rebuild={stale}"
    )


def _none(replicas: list[str], hosts: list[str]) -> str:
    if len(hosts) == 1:
        return (
            f"{hosts[0]} is a replica, and its primary is not in the group database. Put it back. If it is "
            f"dead, put it back as well, and run {FAILOVER} -e primary=dead"
        )
    return (
        f"None of {', '.join(hosts)} is a primary, and {' and '.join(replicas)} can become one: "
        f"{FAILOVER} -e primary=dead"
    )
