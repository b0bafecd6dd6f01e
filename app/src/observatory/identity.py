"""Who answers: the release, the worker process and the host."""

import os
import platform
import socket
from datetime import UTC, datetime
from functools import cache

RELEASE: str = os.environ.get("RELEASE_ID", "development")
STARTED: datetime = datetime.now(UTC)


@cache
def worker_identity() -> dict[str, str | int]:
    """Describe this worker; the same for its whole life.

    Returns:
        release, pid, host, started (ISO 8601, UTC) and the version of Python.
    """
    return {
        "release": RELEASE,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": STARTED.isoformat(timespec="milliseconds"),
        "python": platform.python_version(),
    }
