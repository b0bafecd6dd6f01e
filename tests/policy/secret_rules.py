"""What keeps secrets out of what a run says. Each rule returns one line per violation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .play_rules import module_of
from .project_files import Task, files, load, roles, tasks

# All of an app, or of all apps, rather than one key of it, or their names.
WHOLE_APP = re.compile(r"\b\w*apps?\b(?!\s*\.\w|[^}]*map\(attribute=.name.\))")
ALL_APPS = re.compile(r"\b\w*apps\b(?![^}]*map\(attribute=.name.\))")
OF_AN_APP = (r"\w\.secrets\b", r"\bedge_users\b(?![^}]*attribute=.name.)")
SAYING = {"ansible.builtin.set_fact", "ansible.builtin.debug"}


def no_loop_carries_an_app(root: Path) -> Iterator[str]:
    """A result holds the item of its loop whatever the label: an app has secrets, its name is none."""
    for task in tasks(root):
        loops = [value for key, value in task.data.items() if key == "loop" or key.startswith("with_")]
        if any(ALL_APPS.search(text) for text in _expressions(loops)) and not task.data.get("no_log"):
            yield f"{task.path}: {task.name!r} loops over whole apps; loop over their names"


def no_task_says_an_app(root: Path) -> Iterator[str]:
    """What set_fact and debug are told is their result."""
    for task in tasks(root):
        told = [*(task.data[module] for module in SAYING & set(task.data)), task.data.get("vars")]
        if not SAYING & set(task.data) or task.data.get("no_log"):
            continue
        if any(WHOLE_APP.search(text) for text in _expressions(told)):
            yield f"{task.path}: {task.name!r} says a whole app; name the keys, or add no_log"


def no_task_says_a_secret(root: Path) -> Iterator[str]:
    """Arguments and differences of files are shown, unless the task or the module's option is no_log.

    Secret are keys of an app that say so, and variables of roles that are no_log in their specs.
    """
    hidden = _hidden_options(root)
    names = {name for role in roles(root) for name in _secret_variables(role)}
    secret = re.compile("|".join([*OF_AN_APP, *(rf"(?<!if )\b{name}\b(?! *\| *length)" for name in names)]))
    for task in tasks(root):
        if task.is_block or task.data.get("no_log"):
            continue
        for module in module_of(task):
            own = hidden.get(module.rpartition(".")[2], set())
            arguments = task.data[module]
            shown = {key: value for key, value in arguments.items() if key not in own} if own else arguments
            texts = [*_expressions([shown, task.data.get("vars")]), *_template(task, arguments)]
            texts.append(str(task.data.get("loop")))
            if any(secret.search(text) for text in texts):
                yield f"{task.path}: {task.name!r} says a secret; add no_log"


def _expressions(value: Any) -> Iterator[str]:
    """Yield what Jinja evaluates in a value, without the texts in quotes of which it consists."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _expressions(item)
    for expression in (
        re.findall(r"\{\{.*?\}\}|\{%.*?%\}", value, re.DOTALL) if isinstance(value, str) else []
    ):
        yield re.sub(r"(attribute='\w+')|'[^']*'", lambda found: found[1] or "''", expression)


def _template(task: Task, arguments: Any) -> Iterator[str]:
    """Yield the expressions of the template that a task of a role renders."""
    source = arguments.get("src") if isinstance(arguments, dict) else None
    for path in [task.path.parent.parent / "templates" / source] if isinstance(source, str) else []:
        yield from _expressions(path.read_text() if path.is_file() else "")


def _hidden_options(root: Path) -> dict[str, set[str]]:
    """Return by module of the project which of its options are no_log."""
    option = re.compile(r'"(\w+)": \{[^}]*"no_log": True')
    found = {path.stem: set(option.findall(path.read_text())) for path in files(root, "plugins/modules/*.py")}
    return {module: options for module, options in found.items() if options}


def _secret_variables(role: Path) -> Iterator[str]:
    for entry in load(role / "meta/argument_specs.yml").get("argument_specs", {}).values():
        options = entry.get("options") or {}
        yield from (name for name, option in options.items() if option.get("no_log"))
