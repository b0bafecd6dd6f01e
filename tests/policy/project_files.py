"""Read playbooks, roles and tests of a checkout, without running any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BLOCK_PARTS = ("block", "rescue", "always")
# Made by tools or installed; nobody writes there.
FOREIGN = {".venv", "collections", ".git", ".ansible", "build", "node_modules", "__pycache__"}


class _Loader(yaml.SafeLoader):
    """Reads any tag, as `!vault` and `!unsafe`, as plain data."""


def _plain(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _plain)


@dataclass(frozen=True)
class Task:
    """One task, handler or block of a file."""

    path: Path
    data: dict[str, Any]

    @property
    def is_block(self) -> bool:
        """Whether it holds other tasks."""
        return "block" in self.data

    @property
    def name(self) -> str:
        """The name, or a part of the task where it has none."""
        return str(self.data.get("name") or f"(without name: {str(self.data)[:60]})")


def load(path: Path) -> Any:
    """Return the content of a YAML file; {} of an empty or missing one."""
    if not path.exists():
        return {}
    return yaml.load(path.read_text(), Loader=_Loader) or {}


def files(root: Path, pattern: str) -> list[Path]:
    """Return the files of the project that match, sorted."""
    found = [path for path in root.glob(pattern) if path.is_file()]
    return sorted(path for path in found if not FOREIGN & set(path.relative_to(root).parts))


def roles(root: Path) -> list[Path]:
    """Return the directories of the roles; one without tasks has not begun to exist."""
    return sorted(path for path in root.glob("roles/*") if (path / "tasks").is_dir())


def playbooks(root: Path) -> list[Path]:
    """Return every file that holds plays, wherever it is outside the roles."""
    candidates = [
        path for path in files(root, "**/*.yml") if path.relative_to(root).parts[0] not in ("roles", "app")
    ]
    return [path for path in candidates if any(_is_play(entry) for entry in _entries(path))]


def plays(path: Path) -> list[dict[str, Any]]:
    """Return the plays of a playbook, without imports of other playbooks."""
    return [entry for entry in _entries(path) if "hosts" in entry]


def task_files(root: Path) -> list[Path]:
    """Return the files that hold tasks or handlers, of roles and beside playbooks."""
    return [
        path
        for path in files(root, "**/*.yml")
        if {"tasks", "handlers"} & set(path.relative_to(root).parts[:-1])
        and path.relative_to(root).parts[0] != "app"
    ]


def tasks(root: Path) -> Iterator[Task]:
    """Yield every task and block of task files and of plays."""
    for path in task_files(root):
        yield from walk(path, _entries(path))
    for path in playbooks(root):
        yield from play_tasks(path)


def play_tasks(path: Path) -> Iterator[Task]:
    """Yield the tasks that stand in the plays themselves."""
    for play in plays(path):
        for section in ("pre_tasks", "tasks", "post_tasks", "handlers"):
            yield from walk(path, play.get(section) or [])


def walk(path: Path, entries: Any) -> Iterator[Task]:
    """Yield the tasks of a list, those inside blocks included."""
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            yield Task(path, entry)
            for part in BLOCK_PARTS:
                yield from walk(path, entry.get(part))


def _entries(path: Path) -> list[dict[str, Any]]:
    content = load(path)
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []


def _is_play(entry: dict[str, Any]) -> bool:
    return "hosts" in entry or "import_playbook" in entry or "ansible.builtin.import_playbook" in entry
