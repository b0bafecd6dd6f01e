"""Which files of a directory on the controller are sent, and which of the others somebody may miss."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import git
from .archive_tree import left_out
from .errors import SourceError

_EXAMPLES = (".example", ".sample", ".template", ".dist")
_DATABASES = (".db", ".sqlite", ".sqlite3")
_KEYS = (".key", ".pem")
# Where the head line of a key is, after what `openssl` writes before it.
_HEAD_BYTES = 4096
_FRONT_END = (".css", ".html", ".js", ".mjs")
# A report of coverage.py has pages and scripts, too.
_NO_FRONT_END = frozenset({"htmlcov"})
_LOOK_AT_FILES = 500


@dataclass(frozen=True)
class Selection:
    """The files of a source.

    Args:
        names: paths within the directory, sorted.
        notes: what is left out, or sent and easily overlooked, a line each.
    """

    names: list[str]
    notes: list[str]


def select(path: Path, *, is_checkout: bool, include: Iterable[str] = (), subdir: str = "") -> Selection:
    """Choose the files of a directory.

    Args:
        path: the directory.
        is_checkout: whether git says what belongs to it.
        include: files and directories that are sent in any case.
        subdir: the project's directory in it; "" for itself.

    Raises:
        SourceError: git cannot list the files, or what is to be included is not there.
    """
    tracked, others = git.listed_files(path) if is_checkout else ([], walk(path))
    wanted = [entry.strip("/") for entry in include]
    included = {name for entry in wanted for name in _included(path, entry)}
    others = [name for name in others if not left_out(name)]
    private = sorted(name for name in others if name not in included and _is_private(path / name))
    names = {name for name in tracked if not left_out(name)} | (set(others) - set(private)) | included
    notes = environment_notes(set(tracked) - included, subdir)
    if private:
        notes.append(f"not sent: {', '.join(private)} (secrets or data; source.include sends them)")
    ignored = git.ignored_directories(path) if is_checkout else []
    missed = [name for name in ignored if not any(_overlap(name, entry) for entry in wanted)]
    missed = [name for name in missed if _is_front_end(path, name)]
    if missed:
        key = f"source.include: [{', '.join(missed)}]"
        notes.append(f"not sent, as .gitignore says: {', '.join(missed)} (a built front end? {key} sends it)")
    return Selection(sorted(names), notes)


def environment_notes(names: Iterable[str], subdir: str) -> list[str]:
    """A line about `.env` files of a source that the project may read, if there are any.

    Args:
        names: paths within the source.
        subdir: the project's directory in it; "" for the source itself.
    """
    directories = {name: name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == ".env"}
    found = sorted(
        name for name, place in directories.items() if not (place and subdir) or _overlap(place, subdir)
    )
    if not found:
        return []
    remove = " ".join(["rm", *(os.path.relpath(name, subdir or ".") for name in found)])
    return [
        f"sent as part of the source: {', '.join(found)} (the app may read there what env and secrets do not "
        f"set; to leave that out: hooks.before_build: [{remove}])"
    ]


def walk(path: Path) -> Iterator[str]:
    """Yield all files and symlinks below a directory, except in directories that no release has."""
    for directory, directories, files in os.walk(path):
        base = os.path.relpath(directory, path)
        prefix = "" if base == "." else f"{base}/"
        links = [name for name in directories if Path(directory, name).is_symlink()]
        directories[:] = [name for name in directories if not left_out(name) and name not in links]
        yield from (f"{prefix}{name}" for name in (*files, *links))


def _included(path: Path, entry: str) -> Iterator[str]:
    place = path / entry
    if place.is_symlink() or place.is_file():
        yield entry
    elif place.is_dir():
        yield from (f"{entry}/{name}" for name in walk(place) if not left_out(name))
    else:
        raise SourceError(
            f"{path} has no {entry}, which source.include names: build it first, or correct the name."
        )


def _is_private(path: Path) -> bool:
    """Whether a file holds secrets or data: they are the machine's, not the release's."""
    name = path.name
    if name == ".env" or (name.startswith(".env.") and not name.endswith(_EXAMPLES)):
        return True
    if name.endswith(_DATABASES):
        return True
    if not (name.endswith(_KEYS) or name.startswith("id_")):
        return False
    try:
        with path.open("rb") as file:
            return b"PRIVATE KEY" in file.read(_HEAD_BYTES)
    except OSError:  # a dangling link, or what the archive itself will complain of
        return False


def _is_front_end(path: Path, name: str) -> bool:
    """Whether a directory looks like what a bundler made, and not like a tool's cache."""
    base = name.rpartition("/")[2]
    if (
        left_out(name)
        or base.startswith(".")
        or base in _NO_FRONT_END
        or (path / name / "pyvenv.cfg").exists()
    ):
        return False
    return any(file.endswith(_FRONT_END) for file in itertools.islice(walk(path / name), _LOOK_AT_FILES))


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
