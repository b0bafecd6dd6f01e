"""How an edge has answered for an app, from nginx's own log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# Of the end of the log: about a hundred thousand requests.
LOOKED_AT_BYTES = 64 * 1024 * 1024
SERVER_ERROR = 500


def tail(log: Path, most_bytes: int = LOOKED_AT_BYTES) -> Iterator[str]:
    """Yield the last lines of a log, as many as are whole in its last bytes; none where there is no log."""
    if not log.exists():
        return
    with log.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - most_bytes)
        file.seek(start)
        if start:
            file.readline()
        for line in file:
            yield line.decode(errors="replace")


def count(lines: Iterable[str], app: str, since: float) -> tuple[int, int]:
    """Return how many requests an app got since then, and how many were answered 5xx.

    Args:
        lines: JSON objects with `app`, `epoch` (seconds since 1970) and `status`; others are passed over.
        app: name of the app.
        since: seconds since 1970.
    """
    requests = errors = 0
    for line in lines:
        try:
            entry = json.loads(line)
            is_wanted = entry["app"] == app and entry["epoch"] >= since
            is_error = entry["status"] >= SERVER_ERROR
        except (ValueError, KeyError, TypeError):
            continue
        if is_wanted:
            requests += 1
            errors += is_error
    return requests, errors
