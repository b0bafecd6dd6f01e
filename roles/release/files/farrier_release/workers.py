"""What the server says about its workers, read from files that the application's user may have forged.

Nothing read here is trusted further than the application could be trusted anyway: it can only mislead about
itself.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farrier_release.storage import read_json

_PID = re.compile(r"[1-9][0-9]{0,9}")
_TRACEBACK_LINES = 40
# The end of the year 9999 in seconds since 1970: later times cannot be written down.
_LAST_MOMENT = 253_402_300_800


@dataclass(frozen=True)
class Worker:
    """One worker.

    Args:
        pid: process id.
        release: id of the release that it runs.
        state: booting, ready or draining.
        since: since when, seconds since 1970.
    """

    pid: int
    release: str
    state: str
    since: float


def workers(run_directory: Path) -> list[Worker]:
    """All workers that are alive, by process id."""
    found = []
    for path in (run_directory / "workers").glob("*.json"):
        data = read_json(path)
        if not data or not _PID.fullmatch(path.stem) or not Path(f"/proc/{path.stem}").exists():
            continue
        since: Any = data.get("since")
        found.append(
            Worker(
                pid=int(path.stem),
                release=str(data.get("release", "")),
                state=str(data.get("state", "")),
                since=since if type(since) in (int, float) and 0 <= since < _LAST_MOMENT else 0.0,
            )
        )
    return sorted(found, key=lambda worker: worker.pid)


def master(run_directory: Path) -> dict[str, Any]:
    """What the master says about itself; empty when it says nothing."""
    return read_json(run_directory / "master.json") or {}


@dataclass(frozen=True)
class BootFailure:
    """Why a worker did not get through its start-up.

    Args:
        error: in a line.
        traceback: where it came from, line by line.
    """

    error: str
    traceback: list[str]


def boot_failure(run_directory: Path, *, since_seconds: float, release: str) -> BootFailure | None:
    """The last failure of a worker of a release since a time (seconds since 1970), or None."""
    data = read_json(run_directory / "failure.json") or {}
    at = data.get("at")
    if not isinstance(at, (int, float)) or at < since_seconds or data.get("release") != release:
        return None
    return BootFailure(
        str(data.get("error") or "unknown error"),
        str(data.get("traceback") or "").splitlines()[-_TRACEBACK_LINES:],
    )


def wrong_workers(run_directory: Path, release: str) -> str:
    """Why not all wanted workers serve a release, or "" when they do. Draining ones do not count."""
    wanted = master(run_directory).get("workers")
    if type(wanted) is not int or wanted < 1:
        return (
            f"the server does not report how many workers it wants ({os.fspath(run_directory)}/master.json)"
        )
    serving = [worker for worker in workers(run_directory) if worker.state == "ready"]
    right = [worker for worker in serving if worker.release == release]
    others = sorted({worker.release for worker in serving if worker.release != release})
    if len(right) < wanted:
        return f"{len(right)} of {wanted} workers serve {release}" + (
            f", others {', '.join(others)}" if others else ""
        )
    return f"workers of {', '.join(others)} still serve" if others else ""
