"""Which of nginx's files an operator has written: they are never replaced silently."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path


def packaged(conffiles: str) -> dict[str, str]:
    """Return the MD5 of each file as its package brings it, from the lines of dpkg's field Conffiles."""
    lines = (line.split() for line in conffiles.splitlines())
    return {words[0]: words[1] for words in lines if len(words) >= 2}


def foreign(root: Path, replaced: Iterable[str], marker: str, conffiles: Mapping[str, str]) -> list[str]:
    """Return those of the files that somebody has written or changed.

    Args:
        root: Directory of the configuration.
        replaced: Relative paths of the files that the kit writes or removes.
        marker: First line of every file of the kit.
        conffiles: MD5 of each file as its package brings it.
    """
    return [path for path in replaced if _is_foreign(root / path, marker, conffiles)]


def _is_foreign(path: Path, marker: str, conffiles: Mapping[str, str]) -> bool:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return False
    if content.decode(errors="replace").splitlines()[:1] == [marker]:
        return False
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return conffiles.get(str(path.resolve())) != digest


def back_up(root: Path, paths: Iterable[str], directory: Path) -> None:
    """Copy files, and what links lead to, to the same relative paths below a directory of root's alone."""
    directory.mkdir(mode=0o700, parents=True)
    for path in paths:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, directory / path)
