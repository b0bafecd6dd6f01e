"""Filters for templates of systemd units."""

from __future__ import annotations

import hashlib
import shlex
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


def exec_words(command: str) -> str:
    """Return a command line as `ExecStart=` reads it: split as by a shell, and nothing expanded."""
    escapes = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$", "\n": "\\n", "\t": "\\t"}
    words = shlex.split(command)
    return " ".join(f'"{"".join(escapes.get(letter, letter) for letter in word)}"' for word in words)


def units_beside(apps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return {"app", "key", "name", "template", "unit"} of each unit of the apps' processes and timers.

    Args:
        apps: Entries of what `app_defaults` returns.
    """
    kinds = (
        ("processes", "app-process@.service", "@.service"),
        ("timers", "app-timer.service", ".service"),
        ("timers", "app-timer.timer", ".timer"),
    )
    return [
        {
            "app": app["name"],
            "key": key,
            "name": name,
            "template": template,
            "unit": f"{app['name']}-{name}{suffix}",
        }
        for app in apps
        for key, template, suffix in kinds
        for name in app[key]
    ]


def timers(apps: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return {"app", "name", "schedule"} of each timer of the apps."""
    return [
        {"app": app["name"], "name": name, "schedule": timer["schedule"]}
        for app in apps
        for name, timer in app["timers"].items()
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "exec_words": exec_words,
            "timers": timers,
            "unit_digest": unit_digest,
            "units_beside": units_beside,
        }
