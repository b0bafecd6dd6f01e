"""What is said of PostgreSQL, and whether a failover may begin."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.database_reports import Databases, report

PRIMARY: dict[str, Any] = {
    "version": 17,
    "is_replica": False,
    "bytes": 3 * 2**30,
    "connections": 7,
    "connections_max": 100,
    "waits": False,
    "lag_bytes": 2048,
    "slot": "reserved",
    "receiver": None,
    "received": None,
    "replayed_at": None,
}
REPLICA: dict[str, Any] = PRIMARY | {
    "is_replica": True,
    "lag_bytes": None,
    "slot": None,
    "receiver": "streaming",
    "received": "0/3000000",
    "replayed_at": "2026-11-27 12:00:00+00",
}


def test_a_report_has_what_an_operator_asks_for() -> None:
    """Version, role, size, connections, lag, slot, and whether commits wait."""
    assert report(PRIMARY, "db2") == (
        "PostgreSQL 17, primary, 3.0 GB, 7 of 100 connections; db2 is 2.0 kB behind; slot reserved",
        "",
    )
    assert "behind, and commits wait for it" in report(PRIMARY | {"waits": True}, "db2")[0]
    assert report(REPLICA, "db1") == (
        "PostgreSQL 17, replica, 3.0 GB, 7 of 100 connections; streaming, last commit 2026-11-27 12:00:00+00",
        "",
    )
    assert report(PRIMARY | {"lag_bytes": None, "slot": None}, "") == (
        "PostgreSQL 17, primary, 3.0 GB, 7 of 100 connections",
        "",
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "does not answer"),
        (REPLICA | {"receiver": None}, "gets nothing from its primary"),
        (PRIMARY | {"lag_bytes": None}, "has no connection from its replica other"),
        (PRIMARY | {"lag_bytes": None, "waits": True}, "and commits wait for it"),
        (PRIMARY | {"lag_bytes": None, "slot": "lost"}, "the slot is lost"),
        (PRIMARY | {"lag_bytes": None, "slot": "lost"}, "database_failover -e rebuild=other"),
    ],
)
def test_what_does_not_work_is_a_problem(answer: dict[str, Any] | None, said: str) -> None:
    """It makes `status.yml` fail."""
    assert said in report(answer, "other")[1]


def databases(**keys: Any) -> Databases:
    """Return a pair of which db1 is the primary, and all is well."""
    well = {
        "primary": "db1",
        "used": "db1",
        "problem": "",
        "answers": {"db1": PRIMARY, "db2": REPLICA},
        "silent": [],
        "is_synchronous": False,
    }
    return Databases(**well | keys)


def test_a_failover_in_order_says_what_it_does() -> None:
    """It loses nothing."""
    new, problem, lines = databases().failover(is_dead=False)
    assert (new, problem) == ("db2", "")
    assert "db2 becomes the primary, and db1 its replica. db2 is 2.0 kB behind. No commit is lost." in lines


@pytest.mark.parametrize(
    ("is_synchronous", "said"),
    [
        (True, "None is lost: commits waited for it (postgresql_synchronous)."),
        (False, "What db1 had after it is lost."),
    ],
)
def test_a_failover_without_the_primary_says_what_may_be_lost(is_synchronous: bool, said: str) -> None:
    """With the last commit that the replica has."""
    pair = databases(answers={"db1": None, "db2": REPLICA}, is_synchronous=is_synchronous)
    new, problem, lines = pair.failover(is_dead=True)
    assert (new, problem) == ("db2", "")
    assert "up to 0/3000000, and its last commit is of 2026-11-27 12:00:00+00" in lines[0]
    assert said in lines[0]
    assert "database_failover -e rebuild=db1" in lines[1]


def test_a_failover_that_was_interrupted_can_be_run_again() -> None:
    """The replica is the primary already, and apps know the old one still."""
    pair = databases(
        primary="", problem="apps use db1, which was not asked", answers={"db1": None, "db2": PRIMARY}
    )
    assert pair.failover(is_dead=True)[:2] == ("db2", "")


@pytest.mark.parametrize(
    ("keys", "is_dead", "said"),
    [
        ({"answers": {"db1": PRIMARY}}, False, "the group database has no second one"),
        ({"silent": ["app2"]}, False, "app2 cannot be led to another primary"),
        ({"silent": ["app2"]}, True, "app2 cannot be led to another primary"),
        ({"primary": "", "problem": "both are primaries"}, False, "both are primaries"),
        ({"primary": "", "used": "", "problem": "both are primaries"}, True, "both are primaries"),
        ({"answers": {"db1": None, "db2": REPLICA}}, False, "If it is dead: ansible-playbook"),
        ({"answers": {"db1": PRIMARY, "db2": None}}, False, "PostgreSQL on db2 does not answer"),
        ({"answers": {"db1": None, "db2": None}}, True, "PostgreSQL on db2 does not answer"),
        (
            {"answers": {"db1": PRIMARY | {"lag_bytes": None}, "db2": REPLICA}},
            False,
            "db2 does not stream from db1",
        ),
        ({"answers": {"db1": PRIMARY | {"lag_bytes": 2**30}, "db2": REPLICA}}, False, "db2 is 1.0 GB behind"),
        ({}, True, "PostgreSQL on db1 answers, so it is not dead"),
    ],
)
def test_a_failover_that_would_lose_or_break_something_is_refused(
    keys: dict[str, Any], is_dead: bool, said: str
) -> None:
    """Before it stops anything."""
    _, problem, lines = databases(**keys).failover(is_dead=is_dead)
    assert said in problem
    assert lines == []


def test_a_replica_is_made_anew_and_what_a_primary_had_stays() -> None:
    """Of a replica, nothing has to stay."""
    returned = databases(used="db2", answers={"db1": PRIMARY, "db2": PRIMARY})
    source, problem, lines = returned.rebuild("db1")
    assert (source, problem) == ("db2", "")
    assert "stays in a directory beside" in lines[1]
    assert len(databases().rebuild("db2")[2]) == 1


@pytest.mark.parametrize(
    ("keys", "host", "said"),
    [
        ({}, "db3", "rebuild=db3 is none of two hosts"),
        ({"answers": {"db1": None, "db2": REPLICA}}, "db2", "db1 is no primary that answers"),
        ({}, "db1", "db2 is no primary that answers"),
        ({"answers": {"db1": PRIMARY, "db2": PRIMARY}}, "db1", "db1 is what apps use"),
    ],
)
def test_data_that_is_in_use_is_not_replaced(keys: dict[str, Any], host: str, said: str) -> None:
    """Nor by nothing."""
    assert said in databases(**keys).rebuild(host)[1]
