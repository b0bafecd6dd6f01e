"""A directory of sources comes to a host as it is on the controller, in one step."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.playbooks import Play

PLAYBOOK = """
- name: Copy
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: Copy the sources
      farrier.kit.directory_tree:
        src: {src}
        dest: {dest}
"""
SOURCES = {"__init__.py": "first", "part/code.py": "print()", "requirements/tools.txt": "uv"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a directory of sources, and what Python has compiled of them."""
    for name, content in {**SOURCES, "__pycache__/code.pyc": "compiled"}.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "source"


@pytest.fixture
def copy(run_playbook: Play, source: Path, tmp_path: Path) -> Callable[..., str]:
    """Return a function that copies them to `lib/package` and returns the recap."""

    def run(*arguments: str) -> str:
        dest = tmp_path / "lib" / "package"
        ran = run_playbook(PLAYBOOK.format(src=source, dest=dest), *arguments, FARRIER_STRATEGY="linear")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return next(line for line in ran.stdout.splitlines() if line.startswith("localhost "))

    return run


def found(directory: Path) -> dict[str, str]:
    """Return the files of a directory."""
    return {
        str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()
    }


def test_files_come_change_and_go(copy: Callable[..., str], source: Path, tmp_path: Path) -> None:
    """What one run has brought, the next leaves; nothing of an earlier one stays behind."""
    package = tmp_path / "lib" / "package"
    assert "changed=1" in copy("--check")
    assert not package.parent.exists()
    assert "changed=1" in copy()
    assert found(package) == SOURCES
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in package.rglob("*.py"))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "code.pyc").touch()
    assert "changed=0" in copy()
    (source / "part" / "code.py").unlink()
    (source / "new.py").write_text("new")
    assert "changed=1" in copy()
    assert found(package) == {"__init__.py": "first", "new.py": "new", "requirements/tools.txt": "uv"}
    (package / "new.py").write_text("changed on the host")
    assert "changed=1" in copy()
    assert (package / "new.py").read_text() == "new"
    assert len(list(package.parent.iterdir())) == 2  # the link, and what it leads to


def test_a_directory_of_an_earlier_version_is_replaced(copy: Callable[..., str], tmp_path: Path) -> None:
    """It was no link then."""
    package = tmp_path / "lib" / "package"
    package.mkdir(parents=True)
    (package / "old.py").touch()
    assert "changed=1" in copy()
    assert found(package) == SOURCES
    assert len(list(package.parent.iterdir())) == 2


def test_an_interrupted_copy_leaves_the_old_directory_whole(
    load_plugin: Callable[[str, str], ModuleType], tmp_path: Path
) -> None:
    """Wherever it ends, there is the old directory or the new one: cut off after each command in turn."""
    plugin = load_plugin("action", "directory_tree")
    old, new = {"a": b"1", "gone": b"1"}, {"a": b"2", "b": b"2"}

    def replace(parent: Path, files: dict[str, bytes], lines: int | None = None) -> None:
        digest = hashlib.sha256(plugin.digests(files).encode()).hexdigest()[:16]
        script = plugin.REPLACE.format(parent=parent, name="package", digest=digest)
        cut = "\n".join(script.splitlines()[:lines])
        subprocess.run(["sh", "-c", cut], input=plugin.packed(files), check=True)

    count = len(plugin.REPLACE.splitlines())
    seen = []
    for lines in range(count + 1):
        parent = tmp_path / str(lines)
        replace(parent, old)
        replace(parent, new, lines)
        seen.append({name: content.encode() for name, content in found(parent / "package").items()})
        replace(parent, new)
        assert found(parent / "package") == {"a": "2", "b": "2"}
    assert seen[0] == old
    assert seen[-1] == new
    assert all(state in (old, new) for state in seen)
