"""What status says of backups, and when it is an alarm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from farrier_backup import records
from farrier_backup.settings import Settings, read_json, write_json

NOW = 1_800_000_000.0
HOUR = 3600
SETTINGS = Settings("web1", "backup@192.0.2.1", 22, {"shop": ""}, max_age_hours=36, proof_max_age_hours=192)
SAVED = {"at": NOW - 2 * HOUR, "bytes": 8199, "unsound": {}}
PROVEN = {"at": NOW - 50 * HOUR}


def report(directory: Path, **known: Any) -> records.Report:
    """The report of an app of which this is known, on a host that has a repository since 20 hours."""
    write_json(directory / "repository.json", {"id": "x", "since": NOW - 20 * HOUR})
    write_json(records.path_of("shop", directory), known)
    return records.report("shop", SETTINGS, directory, NOW)


def test_all_is_well(tmp_path: Path) -> None:
    """Age, size and the last proof, and nothing else."""
    found = report(tmp_path, saved=SAVED, proven=PROVEN)
    assert (found.text, found.alarms) == ("saved 2 h ago, 8.2 kB, restore proven 2 d ago", [])


def test_a_new_host_has_time_for_its_first_backup(tmp_path: Path) -> None:
    """A run of site.yml alone is no reason for an alarm."""
    found = report(tmp_path)
    assert (found.text, found.alarms) == ("not saved yet, no restore proven yet", [])


@pytest.mark.parametrize(
    ("known", "alarm"),
    [
        ({"saved": {**SAVED, "at": NOW - 37 * HOUR}, "proven": PROVEN}, "saved 37 h ago, more than 36 h"),
        ({"saved": SAVED, "proven": {"at": NOW - 193 * HOUR}}, "restore proven 8 d ago, more than 192 h"),
        (
            {"saved": SAVED, "proven": PROVEN, "unsaved": {"at": NOW - 60, "why": "it is away"}},
            "the last backup failed (60 s ago): it is away",
        ),
        (
            {"saved": SAVED, "proven": PROVEN, "unproven": {"at": NOW - 60, "why": "it is damaged"}},
            "the last proof failed (60 s ago): it is damaged",
        ),
        (
            {"saved": {**SAVED, "unsound": {"a.db": "database is locked"}}, "proven": PROVEN},
            "a.db is no sound database: database is locked",
        ),
    ],
)
def test_an_alarm_says_why(tmp_path: Path, known: dict[str, Any], alarm: str) -> None:
    """Too old, failed since, or not whole."""
    assert report(tmp_path, **known).alarms == [alarm]


def test_never_saved_is_an_alarm_in_time(tmp_path: Path) -> None:
    """Counted since the host has a repository."""
    report(tmp_path)
    found = records.report("shop", SETTINGS, tmp_path, NOW + 17 * HOUR)
    assert found.alarms == ["not saved for 37 h"]


def test_a_success_ends_the_failure_before_it_and_no_other(tmp_path: Path) -> None:
    """A backup that works again says nothing about the proof."""
    for key in ("unsaved", "unproven"):
        records.note("shop", key, {"why": "away"}, tmp_path)
    records.note("shop", "saved", {"bytes": 1, "unsound": {}}, tmp_path)
    assert read_json(records.path_of("shop", tmp_path)).keys() == {"saved", "unproven"}
