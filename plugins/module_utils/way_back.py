"""Changes that could shut the operator out: the host keeps what was, until a new connection confirms them.

What is kept here is put back by `roles/guard/files/farrier_guard`, which a timer on the host starts.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DIRECTORY = Path("/var/lib/farrier-guard")
START_THE_CLOCK = ["systemctl", "restart", "farrier-guard.timer"]
PUT_BACK = ["systemctl", "start", "farrier-guard.service"]


class UnconfirmedError(Exception):
    """A change cannot be confirmed, so the host will take it back, or has."""


def keep(paths: Sequence[Path], undo: Sequence[str], directory: Path = DIRECTORY) -> None:
    """Keep files as they are, and the command that makes the host go by them again.

    Args:
        paths: Files that will be written.
        undo: Command that applies what is put back.
        directory: Where the program of the host looks.
    """
    with _locked(directory):
        pending = directory / "pending"
        fresh = directory / "new"
        shutil.rmtree(fresh, ignore_errors=True)  # an earlier run may have been killed
        fresh.mkdir(mode=0o700)
        files: dict[str, str | None] = {}
        for number, path in enumerate(paths):
            files[str(path)] = str(number) if path.exists() else None
            if path.exists():
                shutil.copy2(path, fresh / str(number))
                os.chown(fresh / str(number), path.stat().st_uid, path.stat().st_gid)
        manifest = {"files": files, "undo": list(undo), "kept": time.clock_gettime(time.CLOCK_BOOTTIME)}
        (fresh / "manifest.json").write_text(json.dumps(manifest))
        pending.mkdir(mode=0o700, exist_ok=True)
        fresh.rename(pending / f"{len(list(pending.iterdir())):06}")


def confirm(connected: float | None, directory: Path = DIRECTORY) -> None:
    """Let what was changed stay.

    Args:
        connected: When the connection was made over which this comes, in seconds since the boot. None: it
            does not come over SSH.
        directory: As of `keep`.

    Raises:
        UnconfirmedError: The host has put back what was, or the connection is older than the change.
    """
    with _locked(directory):
        pending = directory / "pending"
        manifests = sorted(pending.glob("*/manifest.json"))
        if not manifests:
            raise UnconfirmedError("the confirmation came too late: the host has put back what was there")
        kept = max(float(json.loads(path.read_text())["kept"]) for path in manifests)
        if connected is not None and connected < kept:
            raise UnconfirmedError("the connection is older than the change, and so does not prove anything")
        pending.rename(directory / "confirmed")
        shutil.rmtree(directory / "confirmed")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep the host's program from putting back meanwhile."""
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
