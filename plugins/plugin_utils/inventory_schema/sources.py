"""Whether what an app names on the controller is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .explain import shown
from .mistakes import Problem


def source_problems(subject: str, source: Mapping[str, Any]) -> list[Problem]:
    """Look at every local path of a source; addresses of other machines are left to the deploy.

    Args:
        subject: Names the app in the problems.
        source: The key `source` of the app, of whatever quality.
    """
    problems: list[Problem] = []

    def add(key: str, what: str, fix: str) -> None:
        value = shown(source[key], ("source", key))
        problems.append(Problem(subject, f"source.{key}", value, what, fix))

    for key in ("path", "git", "archive"):
        text = source.get(key)
        if not isinstance(text, str) or not text.startswith("/"):
            continue
        place = Path(text)
        if not place.exists():
            add(
                key,
                "does not exist on the controller",
                f"correct it; `ls {place.parent}` shows what is there",
            )
        elif key == "archive" and not place.is_file():
            add(key, "is not a file", "name the .tar.gz itself")
        elif key != "archive" and not place.is_dir():
            add(key, "is not a directory", "name the directory that holds the project")
        elif key == "path" and not _has_folder(place, source.get("subdir")):
            add("subdir", f"is not a folder of {place}", f"correct it; `ls {place}` shows what is there")
    return problems


def snippet_problems(subject: str, edge: Mapping[str, Any]) -> list[Problem]:
    """Look at the file that `edge.snippet` names.

    Args:
        subject: Names the app in the problems.
        edge: The key `edge` of the app, of whatever quality.
    """
    text = edge.get("snippet")
    if not isinstance(text, str) or not text.startswith("/") or Path(text).is_file():
        return []
    fix = f"correct it; `ls {Path(text).parent}` shows what is there"
    value = shown(text, ("edge", "snippet"))
    return [Problem(subject, "edge.snippet", value, "is not a file on the controller", fix)]


def _has_folder(place: Path, subdir: object) -> bool:
    return not isinstance(subdir, str) or (place / subdir).is_dir()
