"""Metrics of several workers in one directory, correct through reloads and bounded over years.

prometheus_client keeps a file per worker and kind of metric, and never removes one. Here the counts of
workers that are gone are added up in one file per kind, and what described only the worker is dropped.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

RETIRED = "retired"
_START_TIME_FIELD = 19  # of /proc/<pid>/stat, counted from the state, the first field after the name


def process_name() -> str:
    """Name of this process in its files: unlike the pid alone, never used again by another process."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    return f"{pid}-{_start_time(pid)}"


def _start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[_START_TIME_FIELD]


def is_running(name: str) -> bool:
    """Tell whether the process of that name (see `process_name`) still runs."""
    pid, _, start_time = name.partition("-")
    return _start_time(int(pid)) == start_time


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other workers from reading or retiring files meanwhile."""
    with (directory / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def retire_gone_workers(directory: Path) -> None:
    """Add the counts of workers that are gone to the retired ones and remove their files.

    Call it with the directory locked.
    """
    for path in sorted(directory.glob("*.db")):
        kind, _, name = path.stem.rpartition("_")
        if name == RETIRED or is_running(name):
            continue
        if not kind.startswith("gauge"):
            _add(path, directory / f"{kind}_{RETIRED}.db")
        path.unlink()


def _add(source: Path, total: Path) -> None:
    from prometheus_client.mmap_dict import MmapedDict

    if source.stat().st_size == 0:  # killed at the moment it made the file
        return
    # Beside the total and without its suffix: a crash half way leaves nothing that is ever read.
    draft = total.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    summed: dict[str, float] = {}
    for path in (total, source):
        if path.exists():
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):
                summed[key] = summed.get(key, 0.0) + value
    values = MmapedDict(str(draft))
    for key, value in summed.items():
        values.write_value(key, value, 0.0)
    values.close()
    draft.replace(total)
