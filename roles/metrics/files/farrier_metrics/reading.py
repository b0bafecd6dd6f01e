"""Reads files that others write: apps' users among them, who may have put anything there.

What is not as it should be counts as not there. Nothing is followed that such a user may have made a symlink.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MAX_BYTES = 256 * 1024
_MAX_ENTRIES = 1000
# Of seconds since 1970, counts and bytes.
_MAX_NUMBER = 10.0**15
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = _FILE | os.O_DIRECTORY
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def open_regular(path: str | Path, directory: int | None = None) -> int:
    """Return a descriptor of a regular file; raises OSError for anything else."""
    descriptor = os.open(path, _FILE, dir_fd=directory)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return descriptor


@contextmanager
def opened_directory(base: Path, *below: str) -> Iterator[int]:
    """Open a directory whose last parts, from `base` on, are no symlinks; raises OSError."""
    descriptor = os.open(base, _DIRECTORY)
    try:
        for name in below:
            inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def names(directory: int | Path) -> list[str]:
    """Return what is in a directory, at most so much of it; nothing if there is none."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in itertools.islice(entries, _MAX_ENTRIES))
    except OSError:
        return []


def json_object(path: str | Path, directory: int | None = None) -> tuple[dict[str, Any], float]:
    """Return a JSON object and when its file was written; ({}, 0) where there is none."""
    try:
        with os.fdopen(open_regular(path, directory), "rb") as file:
            information = os.fstat(file.fileno())
            found = json.loads(file.read(_MAX_BYTES + 1)) if information.st_size <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return {}, 0.0
    return (found, information.st_mtime) if isinstance(found, dict) else ({}, 0.0)


def number(value: Any) -> float | None:
    """Return a number that makes sense as a time, a size or a count, or None."""
    is_number = type(value) in (int, float) and 0 <= value < _MAX_NUMBER  # nor is NaN
    return float(value) if is_number else None


def slug(value: Any) -> str | None:
    """Return a name that may be the value of a label, or None."""
    return value if isinstance(value, str) and _SLUG.fullmatch(value) else None
