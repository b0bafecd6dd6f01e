"""pgBackRest's repository of PostgreSQL: what is in it, and until when its WAL reaches."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from farrier_backup.errors import BackupError
from farrier_backup.settings import STATE

CONFIGURATION = Path("/etc/pgbackrest/farrier.conf")
STANZA = "main"
# Of root, so that postgres can put no link in the way: what is in it belongs to postgres.
HOME = STATE / "postgresql"
REPOSITORY = HOME / "repository"
_USER = "postgres"
_SEGMENT = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(\.\w+)?")
# In one of the 2**32 bytes by which PostgreSQL counts them.
_SEGMENTS = 256


@dataclass(frozen=True)
class Point:
    """One backup of the cluster.

    Args:
        label: of pgBackRest; of full ones it ends in F.
        stop: its end, from which on each moment can be restored.
        wal: the first segment that it needs.
        bytes: of the databases.
        is_damaged: whether pages had wrong checksums.
    """

    label: str
    stop: datetime
    wal: str
    bytes: int
    is_damaged: bool


@dataclass(frozen=True)
class Gap:
    """WAL that is missing.

    Args:
        segment: the first one.
        until: the moment until which the WAL before it reaches.
    """

    segment: str
    until: datetime


def as_postgres(command: list[str], text: str = "") -> str:
    """Return what a command prints that runs with the rights of postgres.

    Raises:
        BackupError: it failed.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, input=text, capture_output=True, text=True, **rights()
    )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if "ERROR" in line or "FATAL" in line] or said or ["it said nothing"]
        raise BackupError(
            f"{Path(command[0]).name} failed: {errors[0].rstrip('.')}", "journalctl -u 'postgresql@*'"
        )
    return done.stdout


def rights() -> dict[str, Any]:
    """Return what makes a process one of postgres."""
    user = pwd.getpwnam(_USER)
    return {
        "user": user.pw_uid,
        "group": user.pw_gid,
        "extra_groups": [],
        "cwd": "/",
        "env": {"PATH": os.environ["PATH"], "HOME": user.pw_dir, "LC_ALL": "C.UTF-8", "PGTZ": "UTC"},
    }


def own(path: Path) -> Path:
    """Give to postgres a directory, which is made if it is not there, and all that is in it."""
    user = pwd.getpwnam(_USER)
    path.mkdir(mode=0o700, exist_ok=True)
    # The directory comes last: until then, postgres cannot exchange what is in it.
    for one in [*path.rglob("*"), path]:
        os.lchown(one, user.pw_uid, user.pw_gid)
    return path


def call(command: str, *options: str, repository: Path = REPOSITORY) -> str:
    """Return what pgBackRest prints.

    Raises:
        BackupError: it failed.
    """
    words = ["pgbackrest", f"--config={CONFIGURATION}", f"--stanza={STANZA}", f"--repo1-path={repository}"]
    return as_postgres([*words, *options, command])


def points(repository: Path = REPOSITORY) -> list[Point]:
    """Return the backups of a repository, the oldest first."""
    if not (repository / "backup" / STANZA / "backup.info").exists():
        return []
    return read(call("info", "--output=json", repository=repository))


def read(info: str) -> list[Point]:
    """Return the backups that `pgbackrest info` lists."""
    return [
        Point(
            one["label"],
            datetime.fromtimestamp(one["timestamp"]["stop"], UTC),
            one["archive"]["start"],
            int(one["info"]["size"]),
            bool(one.get("error")),
        )
        for stanza in json.loads(info)
        for one in stanza["backup"]
    ]


def fitting(found: list[Point], at: datetime | None) -> Point | None:
    """Return the last backup before a moment, or the newest; None if there is none."""
    before = [one for one in found if at is None or one.stop < at]
    return before[-1] if before else None


def gap(point: Point, repository: Path = REPOSITORY) -> Gap | None:
    """Return the first gap in the WAL behind a backup."""
    there = {
        match[1]: path
        for path in (repository / "archive" / STANZA).rglob("*")
        if (match := _SEGMENT.fullmatch(path.name))
    }
    last, absent = first_gap(there, point.wal)
    if not absent:
        return None
    until = datetime.fromtimestamp(there[last].stat().st_mtime, UTC) if last else point.stop
    return Gap(absent, until)


def first_gap(names: Iterable[str], first: str) -> tuple[str, str]:
    """Return the last segment before the first one that is missing, and that one; "" where there is none.

    Timelines follow one another: a segment of any of them will do.
    """
    there = {_number(name): name for name in sorted(names) if _number(name) >= _number(first)}
    last = ""
    for number in range(_number(first), max(there, default=-1) + 1):
        if number not in there:
            return last, f"{(last or first)[:8]}{number // _SEGMENTS:08X}{number % _SEGMENTS:08X}"
        last = there[number]
    return last, "" if there else first


def _number(segment: str) -> int:
    return int(segment[8:16], 16) * _SEGMENTS + int(segment[16:], 16)
