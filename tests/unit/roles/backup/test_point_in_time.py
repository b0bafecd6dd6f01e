"""From which repository a moment is restored, and which moments are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from farrier_backup import pgbackrest, point_in_time, records
from farrier_backup.errors import BackupError
from farrier_backup.pgbackrest import Gap, Point
from farrier_backup.restic import Restic, Snapshot
from farrier_backup.settings import Settings

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = Settings("db1", "backup@192.0.2.1", 22, {}, 36, 192, databases=["shop"])
# The host has the last two days, the backup host older ones as well.
HERE = [
    Point("20261124-120000F", NOON - DAY, "0" * 24, 1, False),
    Point("20261125-120000F", NOON, "0" * 24, 1, False),
]
OLD = [Point("20261101-120000F", NOON - 24 * DAY, "0" * 24, 1, False)]
SNAPSHOTS = [Snapshot("old", NOON - 20 * DAY), Snapshot("new", NOON + timedelta(hours=1))]


@pytest.fixture
def repositories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are whole."""
    monkeypatch.setattr(pgbackrest, "points", lambda: HERE)
    monkeypatch.setattr(pgbackrest, "gap", lambda *_: None)
    monkeypatch.setattr(Restic, "snapshots", lambda *_: SNAPSHOTS)
    monkeypatch.setattr(
        point_in_time, "_points_of", lambda snapshot, _: OLD if snapshot.id == "old" else HERE
    )


@pytest.mark.parametrize(
    ("at", "chosen"),
    [
        (None, "here:20261125-120000F"),
        (NOON + timedelta(hours=5), "here:20261125-120000F"),
        (NOON - timedelta(hours=5), "here:20261124-120000F"),
        (NOON - 21 * DAY, "old:20261101-120000F"),
    ],
)
def test_a_moment_is_restored_from_where_it_is(repositories: None, at: datetime | None, chosen: str) -> None:
    """From this host, if it has it; else from the first backup of its repository that was made later."""
    assert point_in_time.choose(at, SETTINGS).id == chosen


def test_a_new_machine_restores_from_the_backup_host(
    repositories: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest without a moment; none after what was carried last."""
    monkeypatch.setattr(pgbackrest, "points", list)
    assert point_in_time.choose(None, SETTINGS).id == "new:20261125-120000F"
    with pytest.raises(BackupError, match="reaches until 2026-11-25 13:00:00"):
        point_in_time.choose(NOON + timedelta(hours=2), SETTINGS)


def test_a_moment_before_the_first_backup_is_refused(repositories: None) -> None:
    """With the first one that can be had."""
    with pytest.raises(BackupError, match=r"as old as 2026-10-26 .* moment after 2026-11-01 12:00:00"):
        point_in_time.choose(NOON - 30 * DAY, SETTINGS)


def test_a_gap_is_refused_by_the_moments_beside_it(
    repositories: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before the gap can be restored."""
    monkeypatch.setattr(pgbackrest, "gap", lambda *_: Gap("0" * 24, NOON + timedelta(hours=1)))
    assert point_in_time.choose(NOON + timedelta(minutes=59), SETTINGS)
    for at in (NOON + timedelta(minutes=61), None):
        with pytest.raises(BackupError, match=r"is missing .* from 2026-11-25 12:00:00 UTC to .* 13:00:00"):
            point_in_time.choose(at, SETTINGS)


def test_a_proof_of_no_backup_has_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a fresh host, and on a standby, nothing is wrong."""
    monkeypatch.setattr(Restic, "snapshots", lambda *_: [])
    monkeypatch.setattr(records, "read", lambda _: {})
    with point_in_time.proven(SETTINGS) as proven:
        assert proven == ("PostgreSQL: it has no backup yet", None)
    monkeypatch.setattr(records, "read", lambda _: {"saved": {}})
    with pytest.raises(BackupError, match="no backup of PostgreSQL on the backup host"):
        point_in_time.proven(SETTINGS).__enter__()
