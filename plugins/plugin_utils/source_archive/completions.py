"""What completed a requirements.txt that names only a part, on its first host: for all others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from . import cache_file

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9.!+_]+")
_PYTHON = re.compile(r"(\d+\.\d+)\.\d+")


def keep(cache: Path, completion: dict[str, Any]) -> None:
    """Remember a completion, unless there is one for the same list and minor version of Python.

    Args:
        cache: directory of the archives.
        completion: what the host reports: `sha256` of the list, `by` (a release), `python`, `packages`.
            Of any other form it is not remembered: it goes to other hosts.
    """
    python = _PYTHON.fullmatch(str(completion.get("python")))
    packages = completion.get("packages")
    if not python or not _SHA256.fullmatch(str(completion.get("sha256"))) or not isinstance(packages, dict):
        return
    if not all(_NAME.fullmatch(name) and _VERSION.fullmatch(str(packages[name])) for name in packages):
        return
    known = load(cache, completion["sha256"])
    if python[1] in known:
        return
    known[python[1]] = {"by": str(completion.get("by")), "packages": packages}
    cache_file.replace(_path(cache, completion["sha256"]), json.dumps(known))


def load(cache: Path, sha256: str) -> dict[str, Any]:
    """Completions of a list by minor version of Python: `by` and `packages` of each."""
    try:
        known = json.loads(_path(cache, sha256).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _path(cache: Path, sha256: str) -> Path:
    return cache / "completions" / f"{sha256}.json"
