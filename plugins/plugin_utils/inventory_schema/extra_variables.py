"""Variables of the command line: `-e NAME=VALUE` overrides whatever a playbook sets, so each is checked."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .explain import suggestion
from .mistakes import Problem

# What each playbook of the kit takes beside the variables of the inventory.
PLAYBOOKS: dict[str, tuple[str, ...]] = {
    "site": ("unreachable", "database_moved"),
    "deploy": ("app", "version", "mixed", "unreachable"),
    "rollback": ("app", "release", "unreachable"),
    "status": ("app",),
    "run": ("app", "command"),
    "measure": ("app", "path", "load"),
    "logs": ("app", "lines"),
    "drain": ("host", "drain", "drain_seconds"),
    "upgrade": ("reboot",),
    "maintenance_mode": ("app", "maintenance"),
    "remove": ("app", "save_state", "remove_data"),
    "database_failover": ("primary", "rebuild", "confirm"),
    "unlock": ("app", "force"),
    "restore": ("app", "at", "confirm"),
}
# Of Ansible itself, and what AWX adds to every run.
FOREIGN_PREFIXES = ("ansible_", "awx_", "tower_")
# What Ansible makes of the words behind a space, as in at='2026-11-25 12:00'. restore.yml puts them together.
REST = {"restore": "_raw_params"}
KIT = Path(__file__).resolve().parents[3]
TASK_FILES = ("playbooks/**/*.yml", "roles/*/tasks/*.yml", "roles/*/handlers/*.yml")
_VARIABLE = re.compile(r"^(\w+):", re.MULTILINE)


def extra_variable_problems(
    playbook: str, given: Collection[str], inventory: Mapping[str, Any], settings: Collection[str]
) -> list[Problem]:
    """Return what is wrong with the names of `-e`; of those that may be another collection's, a warning.

    Args:
        playbook: Name of the kit's playbook.
        given: Names that were given.
        inventory: What the inventory says, by host; names that it defines or mentions are its own.
        settings: Names of the contract.
    """
    taken = PLAYBOOKS[playbook]
    problems = []
    for name in given:
        is_rest = name == REST.get(playbook)
        if (
            name in taken
            or name in settings
            or is_rest
            or name == "apps"
            or name.startswith(FOREIGN_PREFIXES)
        ):
            continue
        others = [other for other, names in PLAYBOOKS.items() if name in names]
        if name.startswith("__") or name in task_names() or others:
            of = f", but of {', '.join(others)}" if others else ""
            what, fix = f"is not a variable of {playbook}.yml{of}", "leave it out"
            problems.append(Problem(f"-e {name}", "", "", what, fix + _what_there_is(taken)))
            continue
        known = [*taken, *settings, "apps", *role_variables()]
        if name in known or any(name in _words(variables) for variables in inventory.values()):
            continue
        meant = suggestion(name, known)
        fix = f"did you mean {meant}?" if meant else f"leave it out{_what_there_is(taken)}"
        what = f"is not a variable of {playbook}.yml, of the kit's roles or of the inventory"
        problems.append(Problem(f"-e {name}", "", "", what, fix, is_warning=not meant))
    return problems


def role_variables() -> list[str]:
    """Return the names of the public variables of all roles."""
    return [
        name
        for path in sorted(KIT.glob("roles/*/defaults/main.yml"))
        for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))
    ]


@functools.cache
def task_names() -> set[str]:
    """Return the names that plays and tasks give to what they loop over, look at, and hand to a role."""
    paths = [path for pattern in TASK_FILES for path in KIT.glob(pattern)]
    return {name for path in paths for name in _given(yaml.load(path.read_text(), yaml.BaseLoader))}


def _given(data: Any) -> Iterator[str]:
    if isinstance(data, list):
        for item in data:
            yield from _given(item)
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if key in ("vars", "ansible.builtin.set_fact") and isinstance(value, dict):
            yield from value
        elif key in ("loop", "loop_control"):
            yield value.get("loop_var", "item") if key == "loop_control" else "item"
        elif key == "register":
            yield value
        elif key == "roles":
            yield from (name for role in value for name in role if name not in ("role", "tags"))
        yield from _given(value)


def _what_there_is(taken: Collection[str]) -> str:
    return f"; it takes {', '.join(taken)}" if taken else ""


def _words(value: object) -> set[str]:
    return set(_found_words(value))


def _found_words(value: object) -> Iterator[str]:
    """Yield the names of variables, and every word of a template."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _found_words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _found_words(item)
    elif isinstance(value, str) and "{" in value:
        yield from re.findall(r"\w+", value)
