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


# What each exception of an app's `sandbox` takes from its units.
LIFTED = {
    "jit": {"MemoryDenyWriteExecute"},
    "proc": {"ProcSubset"},
    "devices": {"PrivateDevices", "DevicePolicy"},
}


def sandbox_properties(
    app: dict[str, Any], common: list[str], outbound: list[str], no_outbound: list[str]
) -> list[str]:
    """Return the sandbox settings of everything that runs an app's code.

    Args:
        app: One entry of what `app_defaults` returns.
        common: Settings for every app, as NAME=VALUE.
        outbound: Those for an app that may open network connections.
        no_outbound: Those for an app that may not.
    """
    exceptions = {name for name, wanted in app["sandbox"].items() if wanted}
    lifted = {setting for name in exceptions for setting in LIFTED.get(name, ())}
    properties = []
    for setting in [*common, *(outbound if app["outbound"] else no_outbound)]:
        name = setting.partition("=")[0]
        if name == "RestrictAddressFamilies" and "netlink" in exceptions:
            setting = f"{setting} AF_NETLINK"
        if name not in lifted:
            properties.append(setting)
    return properties


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


def state_links(app: dict[str, Any]) -> dict[str, str]:
    """Return the absolute path in the app's state of each of its `links`."""
    return {
        place.rstrip("/"): f"/var/lib/farrier/{app['name']}/{target.rstrip('/')}"
        for place, target in app["links"].items()
    }


def state_directories(app: dict[str, Any]) -> list[str]:
    """Return the directories that the `links` of an app lead to, those above them first.

    The last part of a path that has a dot is a file of the app's, to be made by itself.
    """
    found: list[str] = []
    for target in app["links"].values():
        parts = directories_down_to(target)
        found += parts[:-1] if "." in parts[-1].rpartition("/")[2] else parts
    return list(dict.fromkeys(found))


def directories_down_to(path: str) -> list[str]:
    """Return a relative directory and those above it, the highest first."""
    parts = path.strip("/").split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "state_directories": state_directories,
            "state_links": state_links,
            "directories_down_to": directories_down_to,
            "sandbox_properties": sandbox_properties,
            "exec_words": exec_words,
            "timers": timers,
            "unit_digest": unit_digest,
            "units_beside": units_beside,
        }
