"""A generation: the workers that one start or reload brings forth, and the settings that they share."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from farrier_gunicorn import status
from farrier_gunicorn.configuration import Configuration

_TRACEBACK_CHARACTERS = 20_000
_logger = logging.getLogger("gunicorn.error")


@dataclass(eq=False)
class Generation:
    """Counted from 1 in the life of a master."""

    number: int
    configuration: Configuration
    gunicorn_config: Any
    """gunicorn's view of the same settings."""
    failure: str | None = None
    """Why it cannot take over."""

    def recorded_failure(self, pid: int | None) -> str | None:
        """What the worker `pid`, or any worker for None, wrote down last of its failed start-up."""
        failure = status.read_failure(self.configuration.run_directory)
        if failure is None or failure.generation != self.number or pid not in (None, failure.pid):
            return None
        return failure.error

    def record_failure(self, pid: int, phase: str, error: str, traceback: str = "") -> None:
        """Write down, for the reload command and the operator, why the worker `pid` did not start."""
        release = self.configuration.release
        end = traceback[-_TRACEBACK_CHARACTERS:]
        failure = status.Failure(self.number, release, pid, phase, error, time.time(), end)
        try:
            status.write(self.configuration.run_directory / "failure.json", failure)
        except OSError as problem:
            _logger.warning("The failure of worker %s cannot be written down: %s", pid, problem)
