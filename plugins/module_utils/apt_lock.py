"""Which process holds a lock of apt or dpkg."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

LOCKS = (
    Path("/var/lib/dpkg/lock-frontend"),
    Path("/var/lib/dpkg/lock"),
    Path("/var/lib/apt/lists/lock"),
    Path("/var/cache/apt/archives/lock"),
)
# struct flock of Linux on 64-bit machines: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock."""

    pid: int
    command: str
    lock: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid}), which holds {self.lock}"


def holder(locks: Iterable[Path] = LOCKS) -> Holder | None:
    """Return who holds one of the locks, or None. Takes none of them. Raises OSError."""
    for path in locks:
        if path.exists() and (pid := _locked_by(path)):
            return Holder(pid, _command(pid), str(path))
    return None


def wait(
    seconds: float, locks: Iterable[Path] = LOCKS, sleep: Callable[[float], None] = time.sleep
) -> tuple[float, Holder | None]:
    """Wait until nobody holds a lock, at most `seconds`.

    Returns how long that took, in seconds, and who holds one still, or None.
    """
    begin = time.monotonic()
    while (found := holder(locks)) and time.monotonic() - begin < seconds:
        sleep(_POLL_SECONDS)
    return time.monotonic() - begin, found


def _locked_by(path: Path) -> int:
    """Return the process that would keep this one from the lock, 0 for none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # in another container
        words = []
    return b" ".join(words).decode(errors="replace").strip() or "an unknown process"
