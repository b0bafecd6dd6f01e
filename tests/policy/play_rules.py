"""What holds for every play and every task. Each rule returns one line per violation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.task import Task as AnsibleTask

from .project_files import Task, playbooks, plays, task_files, tasks, walk
from .project_files import load as load_yaml

TASK_FILE_MAX_LINES = 70
KEYWORDS = {*AnsibleTask.fattributes, *Block.fattributes, *Handler.fattributes, "include", "local_action"}
COMMANDS = {f"ansible.builtin.{name}" for name in ("command", "shell", "raw", "script", "expect")}


def every_play_is_fatal_for_all(root: Path) -> Iterator[str]:
    """A failure on one host stops all, unless `any_errors_fatal: false` gives its reason beside it."""
    reasoned = re.compile(r"any_errors_fatal: false +# \S")
    for path in playbooks(root):
        excused = len(reasoned.findall(path.read_text()))
        for play in plays(path):
            if play.get("any_errors_fatal") is True:
                continue
            if play.get("any_errors_fatal") is False and excused > 0:
                excused -= 1
                continue
            need = "any_errors_fatal: true, or false with a reason beside it"
            yield f"{path}: play {play.get('name')!r} needs {need}"


def no_errors_are_ignored(root: Path) -> Iterator[str]:
    """`ignore_errors` hides what nobody thought of; `failed_when` says what is no failure."""
    for task in tasks(root):
        if "ignore_errors" in task.data:
            yield f"{task.path}: {task.name!r} has ignore_errors; say with failed_when what is no failure"
    for path in playbooks(root):
        for play in plays(path):
            if "ignore_errors" in play:
                yield f"{path}: play {play.get('name')!r} has ignore_errors"


def every_command_says_when_it_changes(root: Path) -> Iterator[str]:
    """A command is idempotent by `changed_when`, or by `creates` or `removes`."""
    for task in tasks(root):
        for module in COMMANDS & set(task.data):
            arguments = task.data[module]
            given = {*(arguments if isinstance(arguments, dict) else {}), *(task.data.get("args") or {})}
            if "changed_when" not in task.data and not given & {"creates", "removes"}:
                yield f"{task.path}: {task.name!r} runs a command without changed_when"


def module_of(task: Task) -> list[str]:
    """Return the keys of a task that are no keywords: its module, if all is well."""
    return [key for key in task.data if key not in KEYWORDS and not key.startswith("with_")]


def every_module_is_fully_qualified(root: Path) -> Iterator[str]:
    """A module has the name of its collection, also the project's own: it is used from elsewhere, too."""
    for task in tasks(root):
        if task.is_block:
            continue
        modules = module_of(task)
        if len(modules) != 1:
            yield f"{task.path}: {task.name!r} has {modules or 'no module'} where one module belongs"
        elif modules[0].count(".") < 2:
            yield f"{task.path}: {task.name!r} uses {modules[0]}; write its name with the collection"


def every_role_is_fully_qualified(root: Path) -> Iterator[str]:
    """A role, too: a short name is looked up in whatever repository the kit is used from."""
    for path in playbooks(root):
        for play in plays(path):
            listed = [
                role if isinstance(role, str) else role.get("role", "") for role in play.get("roles") or []
            ]
            yield from (f"{path}: uses the role {name}" for name in listed if name.count(".") < 2)
    for task in tasks(root):
        for module in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
            name = (task.data.get(module) or {}).get("name", "a.b.c")
            if name.count(".") < 2:
                yield f"{task.path}: {task.name!r} uses the role {name}"


def tags_reach_what_is_included(root: Path) -> Iterator[str]:
    """Tags of an include are not those of what it includes: with --tags, it would include nothing."""
    for task in tasks(root):
        for module in ("ansible.builtin.include_role", "ansible.builtin.include_tasks"):
            if module not in task.data or "tags" not in task.data:
                continue
            options = task.data[module]
            applied = options.get("apply", {}) if isinstance(options, dict) else {}
            if applied.get("tags") != task.data["tags"]:
                what = f"{task.path}: {task.name!r}"
                yield f"{what} has tags that do not reach what it includes: repeat them by apply"


def no_set_decides_an_order(root: Path) -> Iterator[str]:
    """These filters return another order in each run: what is written or said by it changes by itself."""
    of_sets = r"\| *(intersect|difference|union|symmetric_difference)\("
    # Between colons, it is a pattern of hosts.
    joined = re.compile(of_sets + r"[^|]*\) *\| *join\((?!':'\))")
    for path in sorted([*playbooks(root), *task_files(root)]):
        if joined.search(path.read_text()):
            yield f"{path}: joins the result of a filter of sets; use select or reject"
    for path in sorted(root.glob("roles/*/templates/**/*.j2")):
        if re.search(of_sets, path.read_text()):
            yield f"{path}: uses a filter of sets; use select or reject"


def every_task_has_a_name_of_its_own(root: Path) -> Iterator[str]:
    """A name says what the task does, and finds it: unique within a list of tasks."""
    lists = [(path, list(walk(path, load_yaml(path)))) for path in task_files(root)]
    for path in playbooks(root):
        for play in plays(path):
            if not play.get("name"):
                yield f"{path}: the play for {play['hosts']!r} has no name"
            for section in ("pre_tasks", "tasks", "post_tasks", "handlers"):
                lists.append((path, list(walk(path, play.get(section)))))
    for path, members in lists:
        seen: set[str] = set()
        for task in members:
            if not task.data.get("name") and not task.is_block:
                yield f"{path}: a task has no name: {str(task.data)[:60]}"
            elif task.data.get("name") in seen:
                yield f"{path}: {task.name!r} is the name of two tasks"
            seen.add(task.data.get("name") or "")
        seen.discard("")


def every_task_file_fits_a_screen(root: Path) -> Iterator[str]:
    """Longer files are two phases."""
    for path in task_files(root):
        count = len(path.read_text().splitlines())
        if count > TASK_FILE_MAX_LINES:
            yield f"{path}: has {count} lines; split it, {TASK_FILE_MAX_LINES} fit on a screen"
