"""The log of all attempts: append-only, one JSON object per line."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from farrier_release.config import Configuration
from farrier_release.masking import masking_of

_TAIL_BYTES = 256 * 1024


def record(configuration: Configuration, entry: dict[str, Any]) -> None:
    """Append one attempt. A log that cannot be written is no reason to fail: that is said on standard error.

    Args:
        configuration: whose log.
        entry: what, who, from, to, how, result, seconds, message.
    """
    path = configuration.log_directory / "deploys.jsonl"
    entry = masking_of(configuration).data(entry)
    line = json.dumps(
        {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **entry},
        separators=(",", ":"),
        default=str,
    )
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _append(path, f"{line}\n".encode())
    except OSError as error:
        with suppress(OSError):
            print(f"{configuration.name}: {path} could not be written: {error}", file=sys.stderr, flush=True)


def _append(path: Path, line: bytes) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        # What a power cut or a full disk has torn ends here.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        # One write: lines of two processes never mix.
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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
        except (ValueError, RecursionError):
            continue
    return [entry for entry in entries if isinstance(entry, dict)][-count:]
