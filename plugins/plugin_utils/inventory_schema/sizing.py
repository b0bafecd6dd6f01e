"""How many workers an app gets on a host."""

from __future__ import annotations

from dataclasses import dataclass

# For the system, nginx and the masters, before workers are counted.
SYSTEM_MEMORY_MB = 256
# Of one worker, unless the app says otherwise.
WORKER_MEMORY_MB = 128
# A reload runs the old and the new workers side by side.
GENERATIONS = 2


@dataclass(frozen=True)
class WorkerCount:
    """A number of workers and, for the operator, why it is that number."""

    count: int
    reason: str


def worker_count(
    workers: int | str,
    vcpus: int,
    memory_mb: int,
    worker_memory_mb: int,
    app_count: int = 1,
    memory_max_mb: int | None = None,
) -> WorkerCount:
    """Apply the worker policy of an app to a host; the result is never below 1.

    Args:
        workers: "per_core" (at least 2), "double" (2n+1) or a number from 1.
        vcpus: Processors of the host, from 1.
        memory_mb: Memory of the host in MB.
        worker_memory_mb: What one worker may need, in MB.
        app_count: Apps that share the host's memory equally, from 1.
        memory_max_mb: What the app may have of it, in MB; None for no limit.
    """
    cores = f"{vcpus} core{'' if vcpus == 1 else 's'}"
    if workers == "per_core":
        wanted, reason = max(2, vcpus), f"one per core, at least 2 ({cores})"
    elif workers == "double":
        wanted, reason = 2 * vcpus + 1, f"two per core and one more ({cores})"
    else:
        wanted, reason = int(workers), "as the inventory says"
    share_mb = max(0, memory_mb - SYSTEM_MEMORY_MB) // app_count
    share_mb = min(share_mb, memory_max_mb or share_mb)
    limit = max(1, share_mb // (worker_memory_mb * GENERATIONS))
    if wanted <= limit:
        return WorkerCount(wanted, reason)
    need = f"{worker_memory_mb} MB each, twice during a reload"
    return WorkerCount(limit, f"{wanted} wanted ({reason}), but {share_mb} MB hold {limit}: {need}")
