"""The status files of one gunicorn master: who writes what, and how others read it.

<run directory>/master.json         the master, rewritten at every change
<run directory>/workers/<pid>.json  one for each worker, gone when the worker is gone
<run directory>/failure.json        the last worker that did not get through its start-up
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

WorkerState = Literal["booting", "ready", "draining"]

# The files belong to the app's user: a reader with more rights than that one trusts neither type nor size.
_MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class MasterStatus:
    """What the master says of itself. Times are Unix seconds."""

    pid: int
    started_at: float
    release: str
    """Release that the master was started in; its directory has to stay."""
    python: str
    executable: str
    """Real path of the interpreter."""
    packages: dict[str, str]
    """Versions of what the master has imported from the release: a reload cannot replace them."""
    generation: int
    """Generation that serves; 0 before the first one does."""
    workers: int
    """Number of workers that are wanted."""
    boot_timeout_seconds: float
    candidate: int | None = None
    """Generation that is starting up beside the one that serves."""
    reloads: int = 0
    """Reloads asked for that the master has taken up, refused ones included."""
    last_generation: int = 0
    """Highest generation number given out so far."""
    settings_error: str | None = None
    """Why the last reload was refused."""
    needs_restart: bool = False
    """Whether a restart would take up what it refused."""
    unit: str = ""
    """What the unit says that the master was started by, see `change`; "" where it says nothing."""
    library: str = ""
    """Digest of this package as the master has loaded it."""
    settings: str = ""
    """Digest of the settings of the generation that serves."""
    worker_class: str = ""
    listeners: list[str] = field(default_factory=list)
    """Paths and ADDRESS:PORT of the sockets that systemd has handed over."""


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker says of itself. `since` is in Unix seconds."""

    pid: int
    generation: int
    release: str
    state: WorkerState
    since: float


@dataclass(frozen=True)
class Failure:
    """Why a worker did not get through its start-up. `at` is in Unix seconds."""

    generation: int
    release: str
    pid: int
    phase: str
    """`import`, `startup`, `timeout` or `exit`."""
    error: str
    at: float
    traceback: str = field(default="")


_Record = TypeVar("_Record", MasterStatus, WorkerStatus, Failure)


def write(path: Path, record: MasterStatus | WorkerStatus | Failure) -> None:
    """Replace `path` by `record` in one step. Raises OSError, for instance when the disk is full."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(asdict(record)) + "\n")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def prepare(run_directory: Path) -> None:
    """Make `run_directory` ready for a new master: nothing of an earlier one is left. Raises OSError."""
    workers = run_directory / "workers"
    workers.mkdir(parents=True, exist_ok=True)
    for leftover in [run_directory / "master.json", run_directory / "failure.json", *workers.iterdir()]:
        leftover.unlink(missing_ok=True)


def worker_path(run_directory: Path, pid: int) -> Path:
    """Where the worker `pid` says how it is."""
    return run_directory / "workers" / f"{pid}.json"


def forget_worker(run_directory: Path, pid: int) -> None:
    """Remove what the worker `pid`, which has ended, said of itself; as far as that is possible."""
    with contextlib.suppress(OSError):
        worker_path(run_directory, pid).unlink()


def read_master(run_directory: Path) -> MasterStatus | None:
    """The master's status, or None when there is no readable one."""
    return _read(run_directory / "master.json", MasterStatus)


def read_failure(run_directory: Path) -> Failure | None:
    """The last failure to start, or None."""
    return _read(run_directory / "failure.json", Failure)


def read_workers(run_directory: Path) -> list[WorkerStatus]:
    """Every worker that there is now, oldest generation first."""
    try:
        paths = list((run_directory / "workers").glob("[0-9]*.json"))
    except OSError:
        return []
    records = [_read(path, WorkerStatus) for path in paths]
    return sorted((r for r in records if r is not None), key=lambda r: (r.generation, r.pid))


def _read(path: Path, record: type[_Record]) -> _Record | None:
    try:
        content = json.loads(_read_regular_file(path))
    except (OSError, ValueError, RecursionError):
        return None
    names = {f.name for f in fields(record)}
    try:
        return record(**{name: value for name, value in content.items() if name in names})
    except (AttributeError, TypeError):
        return None


def _read_regular_file(path: Path) -> bytes:
    """The content of `path`, never that of a link's target, and never waiting for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        information = os.fstat(descriptor)
        if not stat.S_ISREG(information.st_mode) or information.st_size > _MAX_BYTES:
            raise OSError(f"{path} is not a regular file of a sensible size")
        content: Any = file.read(_MAX_BYTES)
        return bytes(content)
