"""What a repository of PostgreSQL can restore: its backups, and WAL without a gap behind them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from farrier_backup import pgbackrest
from farrier_backup.pgbackrest import Gap, Point

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
POINTS = [
    Point(f"2026112{day}-120000F", NOON + timedelta(days=day), f"0000000100000000000000{day:02X}", 9, False)
    for day in range(3)
]


def segment(number: int, timeline: int = 1) -> str:
    """The name of a segment of WAL."""
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def test_what_pgbackrest_says_is_read() -> None:
    """As version 2.45 prints it."""
    info = [
        {
            "backup": [
                {
                    "archive": {"start": segment(2), "stop": segment(2)},
                    "error": True,
                    "info": {"delta": 1, "size": 24_622_080},
                    "label": "20261127-224243F",
                    "timestamp": {"start": 1795819363, "stop": 1795819365},
                }
            ],
            "name": "main",
        }
    ]
    stop = datetime.fromtimestamp(1795819365, UTC)
    assert pgbackrest.read(json.dumps(info)) == [
        Point("20261127-224243F", stop, segment(2), 24_622_080, True)
    ]


@pytest.mark.parametrize(
    ("at", "chosen"),
    [
        (None, 2),
        (NOON + timedelta(days=1, seconds=1), 1),
        (NOON + timedelta(days=1), 0),
        (NOON, None),
    ],
)
def test_a_moment_needs_a_backup_that_had_ended(at: datetime | None, chosen: int | None) -> None:
    """Before its end, it is no state that the cluster ever had."""
    found = pgbackrest.fitting(POINTS, at)
    assert found == (None if chosen is None else POINTS[chosen])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([segment(n) for n in range(3, 9)], (segment(8), "")),
        ([segment(n) for n in (1, 3, 4)], (segment(4), "")),
        ([segment(n) for n in (3, 4, 6, 7)], (segment(4), segment(5))),
        ([segment(n) for n in range(3, 258) if n != 256], (segment(255), segment(256))),
        ([segment(n) for n in range(3, 258)], (segment(257), "")),
        ([segment(3), segment(4), segment(4, 2), segment(5, 2)], (segment(5, 2), "")),
        ([segment(4)], ("", segment(3))),
        ([], ("", segment(3))),
    ],
)
def test_the_first_missing_segment_is_found(names: list[str], found: tuple[str, str]) -> None:
    """Across the carry of their numbers, and from one timeline to the next."""
    assert pgbackrest.first_gap(names, segment(3)) == found


def test_a_gap_says_until_when_the_wal_reaches(tmp_path: Path) -> None:
    """That is when the last file before it was archived."""
    directory = tmp_path / "archive/main/15-1/0000000100000000"
    directory.mkdir(parents=True)
    for number in (0, 1, 3):
        path = directory / f"{segment(number)}-{'0' * 40}.zst"
        path.touch()
        os.utime(path, (NOON.timestamp() + number,) * 2)
    (directory / f"{segment(0)}.00000028.backup").touch()
    until = NOON + timedelta(seconds=1)
    assert pgbackrest.gap(POINTS[0], tmp_path) == Gap(segment(2), until)
    (directory / f"{segment(2)}-{'0' * 40}.zst").touch()
    assert pgbackrest.gap(POINTS[0], tmp_path) is None
