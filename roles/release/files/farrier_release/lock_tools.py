"""Lock files of Poetry, PDM and Pipenv: the tool itself turns its lock into a list for uv, pin by pin."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from farrier_release.server_packages import normalise

TOOLS = {"poetry.lock": "poetry", "pdm.lock": "pdm", "Pipfile.lock": "pipenv"}
# None of them makes an environment, writes into the project or looks for a newer version of itself.
ENVIRONMENT = {
    "PDM_CHECK_UPDATE": "0",
    "PDM_IGNORE_SAVED_PYTHON": "1",
    "PIPENV_VERBOSITY": "-1",
    "POETRY_VIRTUALENVS_CREATE": "0",
}


def commands(kind: str, extras: Iterable[str], groups: Iterable[str]) -> list[list[str]]:
    """Arguments of the tool, the last of which print the list; all fail where the lock is out of date.

    Args:
        kind: usual name of the lock file.
        extras, groups: of dependencies, to be installed as well.
    """
    if kind == "poetry.lock":
        only = ",".join(["main", *groups])
        chosen = [word for extra in extras for word in ("--extras", extra)]
        return [["export", "--no-ansi", "--format", "requirements.txt", "--only", only, *chosen]]
    if kind == "pdm.lock":
        chosen = [word for name in (*extras, *groups) for word in ("--group", name)]
        # Without any group of development, PDM would add all of them.
        production = [] if list(groups) else ["--prod"]
        return [["lock", "--check"], ["export", "--format", "requirements", *production, *chosen]]
    return [["verify"], ["requirements", "--hash"]]


def is_hashed(requirements: str) -> bool:
    """Whether every entry of a list carries hashes; one of git or of a directory has none."""
    lines = [line for line in re.sub(r"\\\n", " ", requirements).splitlines() if line.strip()]
    return all("--hash" in line for line in lines if not line.lstrip().startswith(("#", "-i", "--")))


def named(path: Path) -> set[str]:
    """Names (normalised) of the entries of a list and of those that it includes."""
    names, waiting, seen = set(), [path], set()
    while waiting:
        file = waiting.pop()
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        text = file.read_text(encoding="utf-8")
        names |= {normalise(name) for name in re.findall(r"(?m)^\s*([A-Za-z0-9][\w.-]*)", text)}
        others = re.findall(r"(?m)^\s*(?:-r|--requirement)[\s=]*([^\s=].*?)\s*$", text)
        waiting += [file.parent / other for other in others]
    return names


def strangers(kind: str, lock: str, packages: Mapping[str, str]) -> list[str]:
    """What is installed, but not as locked: `name version`.

    Args:
        kind: usual name of the lock file.
        lock: its text.
        packages: names (normalised) and versions of what is installed.
    """
    if kind == "Pipfile.lock":
        section = json.loads(lock).get("default", {})
        locked = {(normalise(name), _plain(entry.get("version", ""))) for name, entry in section.items()}
    else:
        entries = tomllib.loads(lock).get("package", [])
        locked = {(normalise(entry["name"]), _plain(entry.get("version", ""))) for entry in entries}
    unversioned = {name for name, version in locked if not version}
    return [
        f"{name} {version}"
        for name, version in packages.items()
        if name not in unversioned and (name, _plain(version)) not in locked
    ]


def _plain(version: str) -> str:
    """A version in one spelling: 2024.01 and 2024.1 are the same."""
    return re.sub(r"(?<![0-9a-z])0+(?=\d)", "", re.sub(r"[-_+]", ".", version.lstrip("=").lower()))
