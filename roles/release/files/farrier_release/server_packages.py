"""gunicorn, uvicorn and the worker that joins them: what the application brings, what the kit adds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

# What makes uvicorn faster. An application that brings its own uvicorn has decided about these itself.
_WITH_UVICORN = frozenset({"httptools", "uvloop", "websockets"})
# In a wheel's directory name, `-` ends the distribution's name.
_DIST_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)\.dist-info")
_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*==")


def normalise(name: str) -> str:
    """A distribution's name as the packaging specifications compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_packages(venv: Path) -> dict[str, str]:
    """Names (normalised) and versions of what is installed in a virtual environment."""
    found = {}
    for information in venv.glob("lib/python3*/site-packages/*.dist-info"):
        match = _DIST_INFO.fullmatch(information.name)
        if match:
            found[normalise(match["name"])] = match["version"]
    return dict(sorted(found.items()))


def unsupported(packages: Mapping[str, str], supported: Mapping[str, tuple[str, str]]) -> str:
    """What the kit's worker was not tested with, in a sentence, or "" when all is well.

    Args:
        packages: names (normalised) and versions of what is installed.
        supported: name to the first version that is supported, and the first that no longer is.
    """
    for name, (first, end) in supported.items():
        version = packages.get(normalise(name), "")
        if not _numbers(first) <= _numbers(version) < _numbers(end):
            return f"{name} {version or 'is missing'} (the hand-over worker needs >={first},<{end})"
    return ""


def _numbers(version: str) -> list[int]:
    """The release part of a version as numbers, to compare by."""
    match = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in match.group().split(".")] if match else []


def missing_requirements(requirements: str, installed: set[str]) -> dict[str, str]:
    """Those of the kit's pinned requirements that a virtual environment lacks.

    Args:
        requirements: a requirements file; every entry `name==version` with its hashes on continued lines.
        installed: normalised names of what is there.

    Returns:
        Name to entry.
    """
    entries: dict[str, str] = {}
    for logical in re.sub(r"\\\n", " ", requirements).splitlines():
        line = logical.partition(" #")[0].strip()
        match = _REQUIREMENT.match(line)
        if match and normalise(match["name"]) not in installed:
            name = normalise(match["name"])
            # Some have a version for each implementation of Python.
            entries[name] = f"{entries[name]}\n{line}" if name in entries else line
    if "uvicorn" in installed:
        return {name: line for name, line in entries.items() if name not in _WITH_UVICORN}
    return entries
