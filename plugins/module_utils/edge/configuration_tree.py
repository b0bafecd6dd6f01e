"""A tree of configuration files that is tested as a whole before any of it goes live."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Changes:
    """What distinguishes the files on the host from the wanted ones.

    Attributes:
        write: Relative path and content of each file that is missing or differs.
        remove: Relative paths of the files that are there and must not be.
    """

    write: dict[str, str] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.write or self.remove)


def compare(root: Path, files: Mapping[str, str], owned: str, marker: str, absent: Sequence[str]) -> Changes:
    """Return what has to change below `root`.

    Args:
        root: Directory of the configuration.
        files: Wanted contents by relative path.
        owned: Relative directory in which a file that is not wanted is removed if it bears the marker.
        marker: First line of every file that the kit makes.
        absent: Relative paths of other files that must not be there.
    """
    write = {path: content for path, content in files.items() if read(root / path) != content}
    strangers = (
        path
        for path in (root / owned).rglob("*")
        if path.is_file() and str(path.relative_to(root)) not in files
    )
    remove = [
        str(path.relative_to(root)) for path in strangers if (read(path) or "").splitlines()[:1] == [marker]
    ]
    remove += [path for path in absent if os.path.lexists(root / path)]
    return Changes(write, sorted(remove))


@contextmanager
def staged(root: Path, changes: Changes) -> Iterator[Path]:
    """Lay out the tree as it will be, beside the live one on the same file system; it is gone afterwards."""
    stage = root.with_name(f".{root.name}.staged")
    shutil.rmtree(stage, ignore_errors=True)  # an earlier run may have been killed
    try:
        stage.mkdir(mode=0o700)
        if root.exists():
            shutil.copytree(root, stage, symlinks=True, dirs_exist_ok=True)
        _apply(stage, changes, _write)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def publish(stage: Path, root: Path, changes: Changes) -> None:
    """Move the staged files to their places, each in one step."""

    def move(path: Path, content: str) -> None:
        (stage / path.relative_to(root)).replace(path)

    _apply(root, changes, move)


def test(command: Sequence[str], stage: Path, root: Path) -> tuple[bool, str]:
    """Run the command; return whether it was content, and what it said as if the files were in place."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.returncode == 0, (ran.stdout + ran.stderr).replace(str(stage), str(root)).strip()


def read(path: Path) -> str | None:
    """Return the content of a file, or None where there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _apply(root: Path, changes: Changes, write: Callable[[Path, str], None]) -> None:
    for path, content in changes.write.items():
        (root / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(root / path, content)
    for path in changes.remove:
        (root / path).unlink(missing_ok=True)


def _write(path: Path, content: str) -> None:
    path.unlink(missing_ok=True)  # a link would be written through
    path.write_text(content)
    path.chmod(0o644)
