"""SQLite databases among the files of an app: found, copied while others write, and checked.

As a program it runs with the rights of the app's user: if the app exchanges a path for a link meanwhile, it
leads to nothing that the app could not read by itself.

usage: python3 -m farrier_backup.databases STATE COPIES
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

MAGIC = b"SQLite format 3\0"
# Files beside a database that belong to it, and that a copy is complete without.
COMPANIONS = ("-wal", "-shm", "-journal")
# Directories at the top of an app's state of which nothing is saved.
CACHES = ("cache", ".cache")
BUSY_SECONDS = 30.0


def find(state: Path) -> Iterator[str]:
    """Yield the relative path of each database below a directory, whatever its name."""
    for directory, names, files in os.walk(state):
        if Path(directory) == state:
            names[:] = [name for name in names if name not in CACHES]
        for name in files:
            path = Path(directory, name)
            if is_database(path):
                yield str(path.relative_to(state))


def is_database(path: Path) -> bool:
    """Whether a path is a regular file that begins as a database does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with closing(os.fdopen(descriptor, "rb", buffering=0)) as file:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and file.read(len(MAGIC)) == MAGIC


def copy(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others read and write it.

    Raises:
        sqlite3.Error: it is damaged, or locked for too long.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(_uri(source, "rw"), uri=True, timeout=BUSY_SECONDS)) as live,
        closing(sqlite3.connect(target)) as made,
    ):
        # By itself, a backup would wait for a lock without end.
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(made)
    shutil.copymode(source, target)


def problem(path: Path) -> str:
    """Return what is wrong with a database that nobody uses, or ""."""
    try:
        with closing(sqlite3.connect(_uri(path, "rw"), uri=True)) as database:
            said = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if said == ["ok"] else "; ".join(said)


def copy_all(state: Path, copies: Path) -> dict[str, str]:
    """Copy each database below a directory; return why it could not be copied, or "", by its path."""
    found = {}
    for name in find(state):
        try:
            copy(state / name, copies / name)
            found[name] = ""
        except sqlite3.Error as error:
            (copies / name).unlink(missing_ok=True)
            found[name] = str(error)
    return found


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(os.fsencode(path))}?mode={mode}"


if __name__ == "__main__":
    print(json.dumps(copy_all(*map(Path, sys.argv[1:]))))
