"""Times that a host has made up displace no true backup."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from farrier_backup import repositories
from farrier_backup.errors import BackupError

CAME = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "is_true"),
    [
        (CAME, True),
        (CAME - timedelta(hours=20), True),
        (CAME + timedelta(minutes=1), True),
        (CAME + timedelta(minutes=6), False),
        (CAME + timedelta(days=400), False),
        (CAME - timedelta(hours=25), False),
    ],
)
def test_a_time_fits_to_the_arrival(tmp_path: Path, said: datetime, is_true: bool) -> None:
    """A backup takes its time, and clocks differ a little. One of next year would be kept before others."""
    path = tmp_path / "snapshots" / "0123456789"
    path.parent.mkdir()
    path.touch()
    os.utime(path, (CAME.timestamp(), CAME.timestamp()))
    found = repositories.untrue_times(tmp_path, [{"id": path.name, "time": said.isoformat()}])
    assert found == ([] if is_true else ["01234567"])


def serve(tmp_path: Path, host: str, free_min_mb: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that answers a host."""
    settings = repositories.Repositories(str(tmp_path), free_min_mb, {}, ["web1"])
    commands: list[list[str]] = []
    monkeypatch.setattr(repositories, "load", lambda: settings)
    monkeypatch.setattr(os, "execvp", lambda _, command: commands.append(command))
    repositories.serve(host)
    return commands[0]


def test_a_host_may_add_to_its_own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And do nothing else."""
    command = serve(tmp_path, "web1", 0, monkeypatch)
    assert "--append-only" in command
    assert command[-1] == str(tmp_path / "web1")


def test_a_host_that_has_left_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key is no longer worth anything."""
    with pytest.raises(BackupError, match="Permission denied"):
        serve(tmp_path, "web2", 0, monkeypatch)


def test_the_last_space_is_for_pruning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full to the end could not even be emptied."""
    with pytest.raises(BackupError, match="MB free"):
        serve(tmp_path, "web1", 10**9, monkeypatch)
