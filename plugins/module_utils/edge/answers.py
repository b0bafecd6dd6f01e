"""How an edge has answered for an app, from nginx's own log."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass
class Counted:
    """What became of an app's requests.

    Attributes:
        requests: how many there were.
        app_errors: answered 5xx by the app itself.
        edge_errors: answered 5xx by nginx, since no answer came from the app: 502 and 504.
    """

    requests: int = 0
    app_errors: int = 0
    edge_errors: int = 0


def count(lines: Iterable[str], app: str, since: float) -> Counted:
    """Return what became of the requests that an app got since then.

    Args:
        lines: JSON objects with `app`, `epoch` (seconds since 1970), `status`, `answered_by` and
            `upstream_status`; others are passed over.
        app: name of the app.
        since: seconds since 1970.
    """
    counted = Counted()
    for line in lines:
        try:
            entry = json.loads(line)
            is_wanted = entry["app"] == app and entry["epoch"] >= since
            is_error = entry["status"] >= SERVER_ERROR
            is_from_app = entry["answered_by"] == "app"
            was_asked = entry["upstream_status"] != ""  # not so in maintenance
        except (ValueError, KeyError, TypeError):
            continue
        if is_wanted:
            counted.requests += 1
            counted.app_errors += is_error and is_from_app
            counted.edge_errors += is_error and was_asked and not is_from_app
    return counted
