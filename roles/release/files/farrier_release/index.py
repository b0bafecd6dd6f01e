"""What a finished release is made of, file by file, so that another host can have the very same.

The index of a release is kept in it: releases do not change, and nothing is read twice to know what it is.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from farrier_release.application import Application
from farrier_release.extract import leads_out
from farrier_release.storage import write_bytes

TOPS = ("source", ".venv")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotPortableError(Exception):
    """A release, or what calls itself the index of one, that no other host can have."""


class File(NamedTuple):
    """A regular file. Compiled Python is good for one time of its source alone: the time is kept."""

    path: str
    mode: int
    size: int
    mtime_ns: int
    sha256: str


class Directory(NamedTuple):
    """A directory; parents come before what is in them."""

    path: str
    mode: int


class Link(NamedTuple):
    """A symlink."""

    path: str
    target: str


@dataclass(frozen=True)
class Index:
    """The files of a release, with paths relative to its directory.

    Args:
        release: its id, which is part of paths within the environment.
        platform: see `interpreter.platform_of`.
        inputs: what it was built from, see `begin.build_inputs`.
        directories, links, files: what it holds.
    """

    release: str
    platform: str
    inputs: dict[str, Any]
    directories: list[Directory]
    links: list[Link]
    files: list[File]

    def encode(self) -> bytes:
        """The index as a file; the same bytes for the same index."""
        return gzip.compress(json.dumps(asdict(self), separators=(",", ":")).encode(), mtime=0)


def decode(data: bytes) -> Index:
    """The index that a file holds; `check` is what makes it trustworthy.

    Raises:
        NotPortableError: it holds none.
    """
    try:
        found = json.loads(gzip.decompress(data))
        for key, kind in (("directories", Directory), ("links", Link), ("files", File)):
            found[key] = [kind(*entry) for entry in found[key]]
        return Index(**found)
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotPortableError(f"this is no index of a release: {error}") from None


def index_of(application: Application, release: str) -> bytes:
    """The index of a finished release as a file, made when there is none yet.

    Raises:
        NotPortableError: it holds something that is neither file, directory nor symlink.
    """
    kept = application.releases.index_path(release)
    if kept.is_file():
        return kept.read_bytes()
    settings = application.configuration
    live = application.releases.live()
    known: dict[str, File] = {}
    if live and application.releases.index_path(live).is_file():
        known = {file.path: file for file in decode(index_of(application, live)).files}
    manifest = application.releases.manifest(release) or {}
    index = Index(
        release,
        manifest.get("platform", ""),
        manifest.get("inputs", {}),
        *_survey(
            str(settings.release_directory(release)), str(settings.release_directory(live or "")), known
        ),
    )
    data = index.encode()
    write_bytes(kept, data, durable=True)
    return data


def open_own(path: str) -> io.BufferedReader:
    """Open a file of a release for reading; never what a symlink leads to."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def unaltered(path: str, file: File) -> bool:
    """Whether a file of a release is still as its index has it, as far as can be told without reading it."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    found = (stat.S_IMODE(status.st_mode), status.st_size, status.st_mtime_ns)
    return stat.S_ISREG(status.st_mode) and found == file[1:4]


def check(index: Index, executable: str) -> None:
    """Check that an index, from wherever it comes, describes nothing outside of its release.

    Args:
        index: what is to be checked.
        executable: the interpreter, the one thing outside that a release may link to.

    Raises:
        NotPortableError: it does.
    """
    directories: set[str] = set()
    for directory in index.directories:
        _check_path(directory.path, directories, top=directory.path in TOPS)
        _check_mode(directory.path, directory.mode)
        directories.add(directory.path)
    others: set[str] = set()
    paths: list[str] = [link.path for link in index.links]
    paths += [file.path for file in index.files]
    for path in paths:
        _check_path(path, directories)
        if path in others or path in directories:
            raise NotPortableError(f"{path!r} is there twice")
        others.add(path)
    for link in index.links:
        if not isinstance(link.target, str) or "\0" in link.target:
            raise NotPortableError(f"the symlink {link.path!r} leads to {link.target!r}")
        interpreter = link.path.startswith(".venv/bin/") and link.target.startswith("/")
        if interpreter and os.path.realpath(link.target) == executable:
            continue
        if leads_out(link.path, link.target):
            raise NotPortableError(
                f"the symlink {link.path!r} points outside the release, to {link.target!r}"
            )
    for file in index.files:
        _check_mode(file.path, file.mode)
        numbers = (file.size, file.mtime_ns)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise NotPortableError(f"{file.path!r} has an impossible size or time")
        if not isinstance(file.sha256, str) or not _SHA256.fullmatch(file.sha256):
            raise NotPortableError(f"{file.path!r} has the checksum {file.sha256!r}")


def _check_path(path: Any, directories: set[str], *, top: bool = False) -> None:
    if not isinstance(path, str) or "\0" in path:
        raise NotPortableError(f"{path!r} is not a path")
    parent, _, name = path.rpartition("/")
    # Each parent has been through here: no `..` is anywhere in it.
    if name in ("", ".", "..") or not (parent in directories or top):
        raise NotPortableError(f"{path!r} is not a path within the release")


def _check_mode(path: str, mode: Any) -> None:
    if type(mode) is not int or mode & ~0o755:
        raise NotPortableError(f"{path!r} has a mode that no build leaves: {mode!r}")


def _survey(
    root: str, earlier: str, known: Mapping[str, File]
) -> tuple[list[Directory], list[Link], list[File]]:
    """All that is in a release; what it has in common with an earlier one, by inode, is not read."""
    directories: list[Directory] = []
    links: list[Link] = []
    files: list[File] = []
    waiting = [(top, os.lstat(f"{root}/{top}")) for top in reversed(TOPS)]
    while waiting:
        directory, status = waiting.pop()
        directories.append(Directory(directory, stat.S_IMODE(status.st_mode)))
        with os.scandir(f"{root}/{directory}") as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            path, status = f"{directory}/{entry.name}", entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                waiting.append((path, status))
            elif stat.S_ISLNK(status.st_mode):
                links.append(Link(path, os.readlink(entry.path)))  # noqa: PTH115 - to the letter
            elif stat.S_ISREG(status.st_mode):
                mode, size, mtime_ns = stat.S_IMODE(status.st_mode), status.st_size, status.st_mtime_ns
                sha256 = _known_sha256(f"{earlier}/{path}", known.get(path), status) or _sha256(entry.path)
                files.append(File(path, mode, size, mtime_ns, sha256))
            else:
                raise NotPortableError(f"{path!r} is neither a file, a directory nor a symlink")
    return directories, links, files


def _known_sha256(path: str, file: File | None, status: os.stat_result) -> str:
    """The checksum of a file, if it is the very file that an earlier release has."""
    if file is None or (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        return ""
    try:
        other = os.lstat(path)
    except OSError:
        return ""
    return file.sha256 if (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino) else ""


def _sha256(path: str) -> str:
    with open_own(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
