"""Limits of an app that contradict what its workers need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .mistakes import MistakeError, Problem
from .sizing import GENERATIONS, WORKER_MEMORY_MB

# What a policy asks for on the smallest host.
_LEAST_WORKERS = {"per_core": 2, "double": 3}


def check(
    *,
    workers: int | str,
    worker_memory_mb: int,
    worker_memory_max_mb: int | None,
    memory_max_mb: int | None,
    tasks_max: int | None,
) -> None:
    """Raise :class:`MistakeError` for limits that contradict each other on any host. See `App` for them."""
    if worker_memory_max_mb is not None and worker_memory_max_mb < worker_memory_mb:
        raise MistakeError(
            f"has worker_memory_max_mb {worker_memory_max_mb}, below worker_memory_mb ({worker_memory_mb}), "
            "which a worker may need",
            f"write worker_memory_max_mb: {worker_memory_mb} or more, or a lower worker_memory_mb",
        )
    count = 1 if isinstance(workers, str) else workers
    who = f"{count} worker{'s' if count > 1 else ''}"
    need_mb = count * worker_memory_mb * GENERATIONS
    if memory_max_mb is not None and memory_max_mb < need_mb:
        raise MistakeError(
            f"has memory_max_mb {memory_max_mb}, but {who} may need {need_mb} MB "
            f"({worker_memory_mb} MB each, twice during a reload)",
            f"write memory_max_mb: {need_mb} or more, or a lower workers or worker_memory_mb",
        )
    if (
        memory_max_mb is not None
        and worker_memory_max_mb is not None
        and worker_memory_max_mb > memory_max_mb
    ):
        raise MistakeError(
            f"has worker_memory_max_mb {worker_memory_max_mb} above memory_max_mb ({memory_max_mb}): "
            "the kernel would kill the worker before it is replaced",
            f"write a worker_memory_max_mb below {memory_max_mb}",
        )
    tasks = count * GENERATIONS + 2  # the master, and the command that reloads it
    if tasks_max is not None and tasks_max < tasks:
        raise MistakeError(
            f"has tasks_max {tasks_max}, but {who}, twice in a reload, and the rest are {tasks} processes",
            f"write tasks_max: {tasks} or more; threads count too",
        )


def limit_problems(subject: str, app: Mapping[str, Any]) -> list[Problem]:
    """Warn of a limit that leaves fewer workers than the policy asks for on any host.

    Args:
        subject: Names the app in the problems.
        app: The app, of whatever quality.
    """
    least = _LEAST_WORKERS.get(str(app.get("workers", "per_core")))
    limit, each = app.get("memory_max_mb"), app.get("worker_memory_mb", WORKER_MEMORY_MB)
    if least is None or type(limit) is not int or type(each) is not int or each < 1:
        return []
    need_mb = least * each * GENERATIONS
    if not each * GENERATIONS <= limit < need_mb:
        return []
    held = limit // (each * GENERATIONS)
    what = f"leaves memory for {held}, fewer workers than the policy of `workers` asks for anywhere"
    fix = f"write {need_mb} or more, a lower worker_memory_mb, or the number of workers"
    return [Problem(subject, "memory_max_mb", str(limit), what, fix, is_warning=True)]
