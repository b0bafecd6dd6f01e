"""Which distributions are installed, and which are imported. `importlib.metadata` takes far longer for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path


def installed(paths: Iterable[str]) -> dict[str, str]:
    """Distribution -> version, by the names of the metadata directories. The first path wins."""
    versions: dict[str, str] = {}
    for path in paths:
        try:
            names = sorted(entry.name for entry in Path(path).iterdir())
        except OSError:  # not there, or an archive
            continue
        for match in (re.fullmatch(r"(.+)-([^-]+)\.dist-info", name) for name in names):
            if match:
                versions.setdefault(_normalized(match[1]), match[2])
    return versions


def imported() -> dict[str, str]:
    """Distribution -> version of what this process has imported from those named like their package."""
    packages = {_normalized(name.partition(".")[0]) for name in sys.modules}
    return {name: version for name, version in installed(sys.path).items() if name in packages}


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
