"""What holds for every role. Each rule returns one line per violation."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aar_doc.cli import app as aar_doc
from typer.testing import CliRunner

from .project_files import files, load, roles, walk

# What a role's own text consists of; files/ holds programs, whose names are their own.
TEXTS = ("defaults", "vars", "tasks", "handlers", "templates", "meta")


def every_role_has_complete_specs(root: Path) -> Iterator[str]:
    """Each variable of defaults/ is in meta/argument_specs.yml, with type and description, and vice versa."""
    for role in roles(root):
        path = role / "meta/argument_specs.yml"
        entries = load(path).get("argument_specs", {})
        if "main" not in entries:
            yield f"{path}: has no entry point main"
            continue
        defaults = _defaults(role)
        options: dict[str, Any] = {}
        for name, entry in entries.items():
            if not entry.get("short_description"):
                yield f"{path}: {name} has no short_description"
            options |= entry.get("options") or {}
        yield from (f"{path}: {line}" for line in _incomplete(options))
        yield from (f"{path}: {name} of defaults/ is missing" for name in defaults if name not in options)
        for name, option in options.items():
            if name not in defaults and not option.get("required"):
                yield f"{path}: {name} is neither required nor in defaults/"
            elif "default" in option and option["default"] != defaults.get(name):
                yield f"{path}: {name} has another default than defaults/: {option['default']!r}"


def _defaults(role: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for path in files(role, "defaults/**/*.yml"):
        merged |= load(path)
    return merged


def _incomplete(options: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, option in options.items():
        for key in ("type", "description"):
            if not option.get(key):
                yield f"{prefix}{name} has no {key}"
        if option.get("type") == "list" and not option.get("elements"):
            yield f"{prefix}{name} is a list without elements"
        yield from _incomplete(option.get("options") or {}, f"{prefix}{name}.")


def every_role_has_a_current_readme(root: Path) -> Iterator[str]:
    """README.md is what `make docs` makes of meta/ today."""
    for role in roles(root):
        if not (role / "meta/main.yml").exists():
            yield f"{role}: has no meta/main.yml"
            continue
        with tempfile.TemporaryDirectory() as directory:
            fresh, readme = Path(directory) / "README.md", role / "README.md"
            if failure := make_readme(root, role, fresh):
                yield f"{role}: aar-doc fails: {failure}"
            elif not readme.exists() or readme.read_text() != fresh.read_text():
                yield f"{readme}: is missing or stale; run make docs"


def make_readme(root: Path, role: Path, target: Path) -> str:
    """Write the README of a role as tools/docs does; return what went wrong, or ""."""
    with contextlib.chdir(root):
        made = CliRunner().invoke(aar_doc, ["--output-file", str(target), str(role), "markdown"])
    return "" if made.exit_code == 0 else f"{made.output} {made.exception}"


def every_variable_bears_its_role(root: Path) -> Iterator[str]:
    """Public variables begin with `ROLE_`, private ones with `__ROLE_`, those that tasks set included.

    Names that live in one task only, by `vars` or `loop_var`, are free.
    """
    for role in roles(root):
        public, private = f"{role.name}_", f"__{role.name}_"
        for name in _defaults(role):
            if not name.startswith(public):
                yield f"{role}/defaults: {name} does not begin with {public}"
        for path in files(role, "vars/**/*.yml"):
            for name in load(path):
                if not name.startswith(private):
                    yield f"{path}: {name} does not begin with {private}"
        for path in [*files(role, "tasks/**/*.yml"), *files(role, "handlers/**/*.yml")]:
            for task in walk(path, load(path)):
                for name in _names_set_by(task.data):
                    if not name.startswith((public, private)):
                        yield f"{path}: {task.name!r} sets {name}, which does not begin with {private}"


def _names_set_by(task: dict[str, Any]) -> Iterator[str]:
    if isinstance(task.get("register"), str):
        yield task["register"]
    facts = task.get("ansible.builtin.set_fact")
    yield from (name for name in (facts if isinstance(facts, dict) else {}) if name != "cacheable")


def no_role_knows_anothers_variables(root: Path) -> Iterator[str]:
    """What two roles share comes from the playbook."""
    owned = {role: _variables_of(role) for role in roles(root)}
    for role, own in owned.items():
        foreign = {
            name: other.name for other, names in owned.items() if other != role for name in names - own
        }
        for directory in TEXTS:
            for path in files(role, f"{directory}/**/*"):
                for word in sorted(set(re.findall(r"\w+", path.read_text(errors="replace"))) & set(foreign)):
                    yield f"{path}: mentions {word} of the role {foreign[word]}"


def _variables_of(role: Path) -> set[str]:
    private = {name for path in files(role, "vars/**/*.yml") for name in load(path)}
    return {*_defaults(role), *private}


def no_python_is_templated(root: Path) -> Iterator[str]:
    """Programs are files with tests; what varies reaches them as data."""
    for path in files(root, "roles/*/templates/**/*"):
        if path.name.endswith((".py", ".py.j2")) or path.read_text(errors="replace").startswith(
            "#!/usr/bin/env python"
        ):
            yield f"{path}: is a Python program made by a template"
