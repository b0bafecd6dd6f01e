"""Whether a uv.lock was made from the pyproject.toml beside it: `uv sync --frozen` does not look."""

from __future__ import annotations

import tomllib
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

Declared = dict[str, set[SpecifierSet]]


def differences(text: str, pyproject: dict[str, Any]) -> list[str]:
    """Dependencies of a project that are declared otherwise than its lock has it; none where that is unknown.

    Args:
        text: of the lock.
        pyproject: content of the project's pyproject.toml.
    """
    project = pyproject.get("project", {})
    if not {"dependencies", "optional-dependencies"}.isdisjoint(project.get("dynamic", [])):
        return []
    name = canonicalize_name(str(project.get("name", "")))
    try:
        entries = {each["name"]: each for each in tomllib.loads(text).get("package", [])}
        declared = _declared(project, name)
    except (tomllib.TOMLDecodeError, InvalidRequirement):
        return []  # uv says what is wrong
    entry = entries.get(name)
    if entry is None or ("metadata" not in entry and "dependencies" in entry):  # of the first versions of uv
        return []
    locked: Declared = {}
    for requirement in entry.get("metadata", {}).get("requires-dist", []):
        locked.setdefault(requirement["name"], set()).add(SpecifierSet(requirement.get("specifier", "")))
    elsewhere = set(map(canonicalize_name, pyproject.get("tool", {}).get("uv", {}).get("sources", {})))
    return sorted(
        key
        for key in declared.keys() | (locked.keys() - {name})
        if declared.get(key) != locked.get(key)
        # What does not come from an index has no versions in the lock.
        and not (key in elsewhere and key in declared and key in locked)
    )


def _declared(project: dict[str, Any], name: str) -> Declared:
    lists = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    declared: Declared = {}
    for requirement in (Requirement(line) for lines in lists for line in lines):
        key = canonicalize_name(requirement.name)
        if key != name:  # an extra that is made of others
            declared.setdefault(key, set()).add(requirement.specifier)
    return declared
