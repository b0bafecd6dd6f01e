"""Which backup of PostgreSQL is due, and when status says that something is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from farrier_backup import pgbackrest, postgresql, records, scratch
from farrier_backup.errors import BackupError
from farrier_backup.pgbackrest import Gap, Point
from farrier_backup.settings import Settings

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SETTINGS = Settings("db1", "backup@192.0.2.1", 22, {}, 36, 192, databases=["shop"], wal_max_age_minutes=30)


def point(days: float, kind: str = "F") -> Point:
    """A backup that ended so many days ago."""
    return Point(f"20261125-120000{kind}", NOW - timedelta(days=days), "0" * 24, 1, False)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ([], "full"),
        ([point(6)], "diff"),
        ([point(8), point(1, "F_20261125-120000D")], "full"),
        ([point(14), point(6.9)], "full"),
        ([point(14), point(1)], "diff"),
    ],
)
def test_a_full_backup_is_due_once_a_week(found: list[Point], kind: str) -> None:
    """Whatever the hour at which the timer runs."""
    assert postgresql.kind_due(found, NOW) == kind


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is known of the cluster: all is well."""
    now = NOW.timestamp()
    found: dict[str, Any] = {
        "saved": {"at": now - 7200, "bytes": 8199, "databases": {"shop": 8000}},
        "carried": {"at": now - 100, "until": now - 120},
        "proven": {"at": now - 7200},
    }
    monkeypatch.setattr(records, "read", lambda *_: found)
    monkeypatch.setattr(pgbackrest, "points", lambda: [point(3), point(1)])
    monkeypatch.setattr(pgbackrest, "gap", lambda _: None)
    monkeypatch.setattr(postgresql, "is_standby", lambda: False)
    return found


def report() -> records.Report:
    """What status says."""
    return postgresql.report(SETTINGS, NOW.timestamp())


def test_all_is_well(known: dict[str, Any]) -> None:
    """Status says which moments can be restored."""
    assert report().alarms == []
    assert "saved 2 h ago, 8.2 kB, restore proven 2 h ago, WAL reaches from 2026-11-22" in report().text
    assert report().text.endswith("to 2 min ago, shop 8 kB")


def test_wal_that_stays_behind_is_an_alarm(known: dict[str, Any]) -> None:
    """With the reason of the last failure, which alone is none: the next run may succeed."""
    known["uncarried"] = {"at": NOW.timestamp() - 60, "why": "the backup host does not answer"}
    assert report().alarms == []
    known["carried"]["until"] = NOW.timestamp() - 3000
    assert report().alarms == [
        "WAL was not carried to the backup host for 50 min: the backup host does not answer"
    ]


def test_wal_that_was_dropped_is_an_alarm(known: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the next backup, behind which there is no gap."""
    monkeypatch.setattr(pgbackrest, "gap", lambda one: Gap("0" * 23 + "7", NOW) if one == point(1) else None)
    (alarm,) = report().alarms
    assert alarm.startswith("WAL 000000000000000000000007 is missing: no moment from 2026-11-25")
    assert "systemctl start farrier-backup" in alarm


def test_a_standby_is_no_alarm(known: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """However old the backups are that it has made before."""
    known["saved"]["at"] = known["proven"]["at"] = 0
    assert report().alarms
    monkeypatch.setattr(postgresql, "is_standby", lambda: True)
    assert report().alarms == []


def test_a_postgresql_that_does_not_answer_is_an_alarm(
    known: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The apps of the host are reported all the same."""

    def fails() -> bool:
        raise BackupError("psql failed: connection refused", "start it")

    monkeypatch.setattr(postgresql, "is_standby", fails)
    assert report().alarms == ["psql failed: connection refused. Next: start it."]


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "LOG:  last completed transaction was at log time 2026-11-25 11:00:00.5+00\n"
            "FATAL:  recovery ended before configured recovery target was reached\n",
            "does not reach .* is of 2026-11-25 11:00:00.5",
        ),
        ("FATAL:  could not open file\n", "does not start from the backup: could not open file"),
        ("", "it said nothing"),
    ],
)
def test_a_recovery_that_fails_says_why(log: str, said: str) -> None:
    """With what can be restored, if PostgreSQL knows it."""
    with pytest.raises(Exception, match=said):
        raise scratch.failure(log, NOW)


def test_wal_reaches_now_only_behind_a_backup_without_gaps(
    known: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy that counts on it is told so before it migrates."""
    done: list[str] = []
    monkeypatch.setattr(postgresql, "archive_all", lambda: done.append("archived"))
    assert (postgresql.reach_now(), done) == ("saved", ["archived"])
    monkeypatch.setattr(pgbackrest, "gap", lambda _: Gap("0" * 24, NOW))
    with pytest.raises(BackupError, match=f"WAL {'0' * 24} is missing. Next: systemctl start farrier-backup"):
        postgresql.reach_now()
    monkeypatch.setattr(pgbackrest, "points", list)
    with pytest.raises(BackupError, match="PostgreSQL has no backup yet"):
        postgresql.reach_now()
    monkeypatch.setattr(postgresql, "is_standby", lambda: True)
    assert (postgresql.reach_now(), done) == ("this is a standby", ["archived"])
