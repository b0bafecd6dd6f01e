"""Which of two database hosts is the primary, and when a run must not go on."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.database_hosts import Found, primary

PAIR = ["db1", "db2"]


def found(**roles: str) -> dict[str, Found]:
    """Return what was found on hosts of one release."""
    return {host: Found(role, "13") for host, role in roles.items()}


@pytest.mark.parametrize(
    ("hosts", "there", "recorded", "expected"),
    [
        ([], {}, [], ""),
        (["db1"], found(db1=""), [], "db1"),
        (["db1"], found(db1="primary"), ["db1"], "db1"),
        (["db1"], {}, [], "db1"),
        (PAIR, found(db1="", db2=""), [], "db1"),
        (PAIR, found(db1="", db2="primary"), [], "db2"),
        (PAIR, found(db1="replica", db2="primary"), ["db2"], "db2"),
        # A failover that ended before it had led the apps to db2: the next run does.
        (PAIR, found(db1="replica", db2="primary"), ["db1"], "db2"),
        # Of a limited run.
        (PAIR, {}, ["db2"], "db2"),
        (PAIR, found(db1="replica"), [], "db2"),
        (PAIR, found(db2="replica"), ["db1"], "db1"),
        # The database has come from a host that is no longer there.
        (PAIR, found(db1="primary", db2=""), ["db0"], "db1"),
    ],
)
def test_the_primary_is_found_on_the_hosts(
    hosts: list[str], there: dict[str, Found], recorded: list[str], expected: str
) -> None:
    """Only where no host has anything, the first one of the inventory becomes it."""
    assert primary(hosts, there, recorded) == (expected, "")


@pytest.mark.parametrize(
    ("hosts", "there", "recorded", "said"),
    [
        (PAIR, found(db1="primary", db2="primary"), ["db2"], "Apps use db2. To make db1 a replica"),
        (PAIR, found(db1="primary", db2="primary"), ["db2"], "database_failover -e rebuild=db1"),
        (PAIR, found(db1="primary", db2="primary"), [], "Look which of them has the data"),
        (PAIR, found(db1="primary"), ["db2"], "db1 is a primary, but apps use db2, which was not asked"),
        (PAIR, found(db1="replica", db2="replica"), ["db1"], "None of db1, db2 is a primary"),
        # The machine of the primary is new: the data are on the other one.
        (PAIR, found(db1="", db2="replica"), ["db1"], "db2 can become one: ansible-playbook"),
        (["db2"], found(db2="replica"), [], "its primary is not in the group database. Put it back"),
        (
            PAIR,
            {"db1": Found("primary", "12"), "db2": Found("", "13")},
            [],
            "db1 has release 12, db2 has release 13",
        ),
    ],
)
def test_what_does_not_fit_together_stops_the_run(
    hosts: list[str], there: dict[str, Found], recorded: list[str], said: str
) -> None:
    """With the hosts and the command."""
    chosen, problem = primary(hosts, there, recorded)
    assert chosen == ""
    assert said in problem
