"""Databases are found whatever their names, copied while others write, and a damaged one is said."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from farrier_backup import databases


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state of an app, with a database of an unusual name and files that are none."""
    directory = tmp_path / "state"
    (directory / "deep/er").mkdir(parents=True)
    with closing(sqlite3.connect(directory / "deep/er/notes?.data#1")) as made:
        made.execute("CREATE TABLE notes (text TEXT)")
        made.commit()
    (directory / "app.db").write_text("no database, whatever it is called")
    (directory / "empty.sqlite3").touch()
    os.mkfifo(directory / "pipe")
    (directory / "link").symlink_to(directory / "deep/er/notes?.data#1")
    (directory / "cache").mkdir()
    (directory / "cache/pages.db").write_bytes((directory / "deep/er/notes?.data#1").read_bytes())
    return directory


@pytest.fixture
def writer(state: Path) -> Iterator[sqlite3.Connection]:
    """The app, which holds its database open and has written to the -wal alone."""
    with closing(sqlite3.connect(state / "deep/er/notes?.data#1", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("INSERT INTO notes VALUES ('kept')")
        yield connection


def rows(path: Path) -> list[tuple[str]]:
    """All rows of a copy."""
    with closing(sqlite3.connect(path)) as copy:
        return copy.execute("SELECT text FROM notes").fetchall()


def test_databases_are_found_by_what_is_in_them(state: Path) -> None:
    """Neither name nor extension count; a link, a pipe and a cache are none."""
    assert list(databases.find(state)) == ["deep/er/notes?.data#1"]


def test_a_copy_has_all_that_was_committed(state: Path, tmp_path: Path, writer: sqlite3.Connection) -> None:
    """A copy of the file alone would lack what is in the -wal; what is not committed is not whole."""
    writer.execute("BEGIN")
    writer.execute("INSERT INTO notes VALUES ('not committed')")
    assert databases.copy_all(state, tmp_path / "copies") == {"deep/er/notes?.data#1": ""}
    writer.execute("COMMIT")
    assert rows(tmp_path / "copies/deep/er/notes?.data#1") == [("kept",)]
    assert not (tmp_path / "copies/deep/er/notes?.data#1-wal").exists()


def test_a_copy_has_the_mode_of_the_database(state: Path, tmp_path: Path) -> None:
    """A restore brings it back."""
    (state / "deep/er/notes?.data#1").chmod(0o640)
    databases.copy_all(state, tmp_path / "copies")
    assert (tmp_path / "copies/deep/er/notes?.data#1").stat().st_mode & 0o777 == 0o640


def test_one_that_cannot_be_copied_stops_no_other(state: Path, tmp_path: Path) -> None:
    """It is saved as the file that it is, and said."""
    (state / "broken").write_bytes(databases.MAGIC + b"and nothing that follows")
    found = databases.copy_all(state, tmp_path / "copies")
    assert found["deep/er/notes?.data#1"] == ""
    assert "not a database" in found["broken"]
    assert not (tmp_path / "copies/broken").exists()


def test_a_locked_one_is_said_in_time(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that never ends its transaction does not hold up the backup of others."""
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(state / "deep/er/notes?.data#1", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        found = databases.copy_all(state, tmp_path / "copies")
    assert found == {"deep/er/notes?.data#1": "database is locked"}


def test_damage_is_seen(state: Path) -> None:
    """By SQLite itself, not by whether it can be opened."""
    path = state / "deep/er/notes?.data#1"
    assert databases.problem(path) == ""
    content = bytearray(path.read_bytes())
    content[-2000:] = os.urandom(2000)
    content[4096:4100] = b"\xff" * 4
    path.write_bytes(content)
    assert databases.problem(path) != ""
