"""The log of all attempts: append-only, one JSON object per line."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from farrier_release.config import Configuration

_TAIL_BYTES = 256 * 1024


def record(configuration: Configuration, entry: dict[str, Any]) -> None:
    """Append one attempt.

    Args:
        configuration: whose log.
        entry: what, who, from, to, how, result, seconds, message.
    """
    configuration.log_directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    line = json.dumps(
        {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **entry}, separators=(",", ":")
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(configuration.log_directory / "deploys.jsonl", flags, 0o640)
    try:
        # One write: lines of two processes never mix.
        os.write(descriptor, f"{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last(configuration: Configuration, count: int) -> list[dict[str, Any]]:
    """The last attempts, oldest first; at most `count`."""
    try:
        with (configuration.log_directory / "deploys.jsonl").open("rb") as file:
            file.seek(0, os.SEEK_END)
            start = max(0, file.tell() - _TAIL_BYTES)
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines[1 if start else 0 :]:
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return [entry for entry in entries if isinstance(entry, dict)][-count:]
