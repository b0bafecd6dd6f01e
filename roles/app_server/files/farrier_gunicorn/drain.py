"""How long the end of a worker may take, and when it asks for its end. For every kind of worker."""

from __future__ import annotations

import logging
import mmap
from dataclasses import dataclass
from pathlib import Path

_logger = logging.getLogger("gunicorn.error")

# While nobody accepts, how long a proxy may be late with closing a connection that is idle.
_PROXY_LATE_SECONDS = 2.0
# Of the graceful timeout, what is kept for cancelling the app's tasks and for its shutdown handlers.
_SHUTDOWN_SHARE = 0.2
_SHUTDOWN_MOST_SECONDS = 5.0


def resident_memory_mb() -> int:
    """Memory of this process that is not swapped out, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE // 2**20


class MemoryLimit:
    """At which a worker is replaced, in MB; 0 for none."""

    def __init__(self, memory_max_mb: int) -> None:
        self._memory_max_mb = memory_max_mb

    def check_at_start(self) -> None:
        """Drop a limit that is passed already: the replacement would ask for the next one."""
        if self._memory_max_mb and resident_memory_mb() >= self._memory_max_mb:
            _logger.error(
                "The worker has %s MB at its start, so worker_memory_max_mb (%s) has no effect",
                resident_memory_mb(),
                self._memory_max_mb,
            )
            self._memory_max_mb = 0

    def is_passed(self) -> bool:
        """Whether it is time for a replacement."""
        if not self._memory_max_mb or (memory_mb := resident_memory_mb()) < self._memory_max_mb:
            return False
        _logger.info("The worker has %s MB and is replaced: worker_memory_max_mb", memory_mb)
        return True


@dataclass(frozen=True)
class DrainTimes:
    """How long the end of a worker may take, in seconds."""

    total: float
    """For the drain."""
    end: float
    """For the drain and the app's shutdown handlers. The master kills the worker a little later."""
    idle_at_stop: float
    """For idle connections while nobody accepts."""

    @classmethod
    def of(cls, graceful_timeout_seconds: float, proxy_keepalive_seconds: float) -> DrainTimes:
        reserve = min(_SHUTDOWN_MOST_SECONDS, graceful_timeout_seconds * _SHUTDOWN_SHARE)
        total = graceful_timeout_seconds - reserve
        return cls(total, total + 0.8 * reserve, proxy_keepalive_seconds + _PROXY_LATE_SECONDS)
