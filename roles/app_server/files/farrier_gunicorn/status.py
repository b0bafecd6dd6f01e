"""The status files of one gunicorn master: who writes what, and how others read it.

<run directory>/master.json         the master, rewritten at every change
<run directory>/workers/<pid>.json  one for each worker, gone when the worker is gone
<run directory>/failure.json        the last worker that did not get through its start-up
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

WorkerState = Literal["booting", "ready", "draining"]

# The files belong to the app's user: a reader with more rights than that one trusts no type, size or number.
_MAX_BYTES = 256 * 1024
_MAX_WORKERS = 1000
# Of process ids, counts and seconds since 1970: a time before the year 5139 can be shown.
_MAX_NUMBER = 10**11


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
    deaths: int = 0
    """Workers that served and have ended though nobody here has ordered it."""


@dataclass(frozen=True)
class WorkerStatus:
    """What a worker says of itself. `since` is in Unix seconds."""

    pid: int
    generation: int
    release: str
    state: WorkerState
    since: float
    loop_lag_seconds: float | None = None
    """Longest delay of its event loop lately, rewritten every ten seconds; None without an event loop."""


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
        with os.scandir(run_directory / "workers") as entries:
            names = [entry.name for entry in itertools.islice(entries, _MAX_WORKERS)]
    except OSError:
        return []
    pids = [int(name.removesuffix(".json")) for name in names if re.fullmatch(r"[1-9][0-9]{0,9}\.json", name)]
    records = [(pid, _read(worker_path(run_directory, pid), WorkerStatus)) for pid in pids]
    found = [record for pid, record in records if record is not None and record.pid == pid]
    return sorted(found, key=lambda record: (record.generation, record.pid))


def _read(path: Path, record: type[_Record]) -> _Record | None:
    try:
        content = json.loads(_read_regular_file(path))
        values = {f.name: _FIELDS[str(f.type)](content[f.name]) for f in fields(record) if f.name in content}
        return record(**values)
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MAX_NUMBER:
        raise ValueError
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < _MAX_NUMBER:  # nor is NaN
        raise ValueError
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    """A text that can be printed: lone surrogates, which JSON allows, are written out."""
    if not isinstance(value, str):
        raise ValueError
    return value.encode(errors="backslashreplace").decode()


def _state(value: Any) -> WorkerState:
    if value not in get_args(WorkerState):
        raise ValueError
    return cast(WorkerState, value)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError
    return [_text(item) for item in value]


def _text_by_text(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError
    return {_text(key): _text(item) for key, item in value.items()}


# Type of a field -> what turns a value of the file into it, or raises ValueError or TypeError.
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "int": _number,
    "int | None": lambda value: None if value is None else _number(value),
    "float": _seconds,
    "float | None": lambda value: None if value is None else _seconds(value),
    "bool": _flag,
    "str": _text,
    "str | None": lambda value: None if value is None else _text(value),
    "WorkerState": _state,
    "list[str]": _texts,
    "dict[str, str]": _text_by_text,
}


def _read_regular_file(path: Path) -> bytes:
    """The content of `path`, never that of a link's target, and never waiting for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        information = os.fstat(descriptor)
        if not stat.S_ISREG(information.st_mode) or information.st_size > _MAX_BYTES:
            raise OSError(f"{path} is not a regular file of a sensible size")
        content: Any = file.read(_MAX_BYTES)
        return bytes(content)
