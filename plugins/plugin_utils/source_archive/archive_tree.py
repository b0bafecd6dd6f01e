"""A source tree as a list of entries, wherever it comes from, and its archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import SourceError

# Never part of a release, whatever a repository says: made by tools, for one machine.
LEFT_OUT = frozenset({".git", ".venv", "__pycache__", "node_modules"})
_COMPRESSION_LEVEL = 4
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Entry:
    """One file or symlink.

    Args:
        name: path within the source, with forward slashes.
        executable: whether it may be run.
        link: what a symlink points to; None for a file.
        read: returns a file's content.
    """

    name: str
    executable: bool = False
    link: str | None = None
    read: Callable[[], bytes] = bytes


class Tree:
    """All entries of a source by name.

    Raises:
        SourceError: a name or symlink points outside the source.
    """

    def __init__(self, entries: Iterable[Entry], where: str) -> None:
        self.where = where
        self.entries = {entry.name: entry for entry in entries}
        for entry in self.entries.values():
            if entry.link is not None:
                _check_link(entry.name, entry.link, where)
        self.directories = {
            str(parent)
            for name in self.entries
            for parent in PurePosixPath(name).parents
            if str(parent) != "."
        }

    def has_directory(self, name: str) -> bool:
        """Whether there is a directory of this name; "" is the source itself."""
        return name in ("", ".") or name in self.directories

    def text(self, name: str) -> str | None:
        """Content of a text file, or None where there is no such file.

        Raises:
            SourceError: it is not UTF-8.
        """
        entry = self.entries.get(name)
        if entry is None or entry.link is not None:
            return None
        try:
            return entry.read().decode()
        except UnicodeDecodeError:
            raise SourceError(f"{name} of {self.where} is not UTF-8 text: save it as UTF-8.") from None

    def write(self, path: Path) -> str:
        """Write the archive: sorted, without owners and times.

        Returns:
            Its SHA-256.
        """
        with (
            path.open("wb") as file,
            gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in sorted(self.entries):
                _add(tar, self.entries[name])
        with path.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()


def left_out(name: str) -> bool:
    """Whether a path is never part of a release."""
    return name.endswith(".pyc") or not LEFT_OUT.isdisjoint(name.split("/"))


def file_entry(root: Path, name: str) -> Entry | None:
    """The entry of a path on disk, or None when it is neither file nor symlink.

    Raises:
        SourceError: it cannot be read.
    """
    path = root / name
    try:
        if path.is_symlink():
            return Entry(name, link=str(path.readlink()))
        if path.is_file():
            return Entry(name, executable=bool(path.stat().st_mode & 0o100), read=path.read_bytes)
    except OSError as error:
        raise SourceError(f"Cannot read {path}: {error.strerror}") from error
    return None


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.name)
    if entry.link is not None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.link, 0o777
        tar.addfile(member)
        return
    try:
        content = entry.read()
    except OSError as error:
        raise SourceError(f"Cannot read {entry.name}: {error.strerror}") from error
    if content.startswith(_LFS_POINTER):
        raise SourceError(
            f"{entry.name} is a pointer of Git LFS, not the file itself: give a checkout that has the files "
            "(`git lfs pull`) as source.path, or an archive with them."
        )
    member.size, member.mode = len(content), 0o755 if entry.executable else 0o644
    tar.addfile(member, io.BytesIO(content))


def _check_link(name: str, link: str, where: str) -> None:
    depth = len(PurePosixPath(name).parts) - 1
    parts = PurePosixPath(link).parts
    ups = sum(part == ".." for part in parts)
    if PurePosixPath(link).is_absolute() or ups > depth or ".." in parts[ups:]:
        raise SourceError(
            f"The symlink {name} of {where} points outside the source, to {link}: "
            "a release has to be complete in itself. Replace it by what it points to, or remove it."
        )
