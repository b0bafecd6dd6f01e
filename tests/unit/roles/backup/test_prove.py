"""What the operator's check finds in the place of the live state and databases of its app."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from farrier_backup import prove, records
from farrier_backup.errors import BackupError
from farrier_backup.restic import Restic, Snapshot
from farrier_backup.settings import Settings

URL = "postgresql://shop@/shop?host=/run/postgresql"
SETTINGS = Settings(
    *("web1", "backup@192.0.2.1", 22, {"shop": "python -m check", "plain": "./check"}, 36, 192),
    check_environments={"shop": {"DATABASE_URL": URL}, "plain": {}},
)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands of checks, which all succeed."""
    called: list[list[str]] = []

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        called.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(Restic, "snapshots", lambda *_: [Snapshot("a" * 64, datetime.now(UTC))])
    monkeypatch.setattr(prove, "fetch", lambda *_: tmp_path / "state")
    monkeypatch.setattr(prove, "STATE", tmp_path)
    monkeypatch.setattr(records, "note", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", run)
    return called


def test_a_check_reaches_the_restored_database_in_the_place_of_the_live_one(called: list[list[str]]) -> None:
    """By the variable of its app."""
    prove.prove("shop", SETTINGS, Path("/scratch/socket"))
    (words,) = called
    assert "--property=BindPaths=-/scratch/socket:/run/postgresql" in words
    assert "--property=PrivateNetwork=yes" in words
    assert words[-5:] == ["env", f"DATABASE_URL={URL}", "python", "-m", "check"]


def test_a_check_never_reaches_the_live_databases(called: list[list[str]]) -> None:
    """A socket is no network."""
    prove.prove("plain", SETTINGS)
    (words,) = called
    assert "--property=InaccessiblePaths=-/run/postgresql" in words
    assert words[-2:] == ["--", "./check"]
    with pytest.raises(BackupError, match="the database of shop was not restored, so backup_check did not"):
        prove.prove("shop", SETTINGS)
