"""What gunicorn's master and workers say of themselves, and what the kernel says of their processes."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from farrier_metrics.exposition import Sample
from farrier_metrics.reading import json_object, names, number, opened_directory
from farrier_metrics.settings import App, Settings

_STATES = ("ready", "booting", "draining")
_STATUS = re.compile(r"([1-9][0-9]{0,9})\.json")
_MOST_WORKERS = 256
# How often a worker writes its status. If it is later than by this margin, its event loop is blocked.
_WRITTEN_EVERY_SECONDS = 10.0
_MARGIN_SECONDS = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def samples(app: App, cgroup: str, settings: Settings) -> Iterator[Sample]:
    """Yield how the workers of an app do.

    Args:
        app: whose.
        cgroup: of its service; a process outside it is no worker, whatever the app's user says.
        settings: of the host.
    """
    of_app = {"app": app.name}
    try:
        with opened_directory(settings.run, app.name) as directory:
            master, _ = json_object("master.json", directory)
        with opened_directory(settings.run, app.name, "workers") as directory:
            found = {
                int(match[1]): json_object(name, directory)
                for name in names(directory)[:_MOST_WORKERS]
                if (match := _STATUS.fullmatch(name))
            }
    except OSError:
        return  # it does not run
    pids = _pids(cgroup, settings)
    alive = {pid: status for pid, status in sorted(found.items()) if pid in pids}
    states = Counter(status.get("state") for status, _ in alive.values() if _is_text(status.get("state")))
    for state in _STATES:
        yield Sample("farrier_workers", states[state], {**of_app, "state": state})
    if (wanted := number(master.get("workers"))) is not None:
        yield Sample("farrier_workers_wanted", wanted, of_app)
    if (deaths := number(master.get("deaths"))) is not None:
        yield Sample("farrier_worker_deaths_total", deaths, of_app)
    serving = [
        pid for pid, (status, _) in alive.items() if status.get("generation") == master.get("generation")
    ]
    for index, pid in enumerate(serving):
        labels = {**of_app, "worker": str(index)}
        if (memory := _memory_bytes(pid, settings)) is not None:
            yield Sample("farrier_worker_memory_bytes", memory, labels)
        if (lag := loop_lag(*alive[pid], time.time())) is not None:
            yield Sample("farrier_worker_loop_lag_seconds", lag, labels)


def loop_lag(status: dict[str, Any], written_at: float, now: float) -> float | None:
    """Return the longest delay that a worker tells of, or for how long it is silent; None without a loop."""
    told = number(status.get("loop_lag_seconds"))
    if told is None or status.get("state") != "ready":
        return told
    silent = now - written_at - _WRITTEN_EVERY_SECONDS
    return max(told, silent) if silent > _MARGIN_SECONDS else told


def _pids(cgroup: str, settings: Settings) -> set[int]:
    with suppress(OSError, ValueError):
        text = (settings.cgroups / cgroup.lstrip("/") / "cgroup.procs").read_text() if cgroup else ""
        return set(map(int, text.split()))
    return set()


def _memory_bytes(pid: int, settings: Settings) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return int((settings.processes / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
