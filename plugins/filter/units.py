"""Filters for templates of systemd units."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

# What systemd itself goes by. It follows a daemon-reload at once, and the process knows nothing of it.
OF_SYSTEMD = {
    "ExecReload",
    "ExecStartPost",
    "KillMode",
    "Restart",
    "RestartSec",
    "TimeoutStartSec",
    "TimeoutStopSec",
}


def unit_digest(unit: str) -> str:
    """Return a digest of what the processes of a unit have to be restarted for.

    Comments, other sections, and directives that a running service follows do not count.
    """
    return hashlib.sha256("\n".join(_directives(unit)).encode()).hexdigest()[:16]


def _directives(unit: str) -> Iterator[str]:
    section = ""
    for line in map(str.strip, unit.splitlines()):
        if line.startswith("["):
            section = line
        elif (
            line
            and line[0] not in "#;"
            and section == "[Service]"
            and line.partition("=")[0] not in OF_SYSTEMD
        ):
            yield line


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"unit_digest": unit_digest}
