"""Unpacking of a source archive that may be hostile."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath


class UnsafeArchiveError(Exception):
    """The archive holds something that does not belong in a source tree."""


def extract(archive: Path, target: Path) -> int:
    """Unpack a tar archive into an empty directory: regular files, directories and symlinks within it alone.

    Files get the time of unpacking. The archive's own times are all the same, and would tell compiled files
    and HTTP caches that a file which changed without changing its size is the old one.

    Symlinks are made after everything else, so that nothing is ever written through one.

    Args:
        archive: compressed or not.
        target: an existing, empty directory.

    Returns:
        Number of files.

    Raises:
        UnsafeArchiveError: a name or a link leads outside, a name comes twice, or an entry is a device or
            the like.
        tarfile.TarError: not an archive, or a broken one.
    """
    links: dict[str, str] = {}
    made = {"."}
    files = 0
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            name = _safe_name(member.name)
            if name == ".":
                continue
            if name in links or (name in made and not member.isdir()):
                raise UnsafeArchiveError(f"{member.name!r} is in the archive twice")
            if member.isdir():
                _make_directories(target, name, made, links)
            elif member.issym():
                links[name] = _safe_link(name, member.linkname)
            elif member.isreg():
                _make_directories(target, str(PurePosixPath(name).parent), made, links)
                source = tar.extractfile(member)
                assert source is not None
                mode = 0o755 if member.mode & 0o100 else 0o644
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                with source, os.fdopen(os.open(target / name, flags, mode), "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 18)
                made.add(name)
                files += 1
            else:
                raise UnsafeArchiveError(f"{member.name!r} is neither a file, a directory nor a symlink")
    for name, destination in links.items():
        _make_directories(target, str(PurePosixPath(name).parent), made, links)
        (target / name).symlink_to(destination)
    return files


def leads_out(name: str, destination: str) -> bool:
    """Whether the symlink `name` of a tree may lead out of it."""
    depth = len(PurePosixPath(name).parts) - 1
    parts = PurePosixPath(destination).parts
    ups = sum(part == ".." for part in parts)
    # Only leading `..`: after a name they may climb from wherever another symlink leads.
    return PurePosixPath(destination).is_absolute() or ups > depth or ".." in parts[ups:] or not destination


def _safe_name(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise UnsafeArchiveError(f"{name!r} points outside the archive")
    return str(path)


def _safe_link(name: str, destination: str) -> str:
    if leads_out(name, destination):
        raise UnsafeArchiveError(f"the symlink {name!r} points outside the archive, to {destination!r}")
    return destination


def _make_directories(target: Path, name: str, made: set[str], links: dict[str, str]) -> None:
    if name in made:
        if not (target / name).is_dir():
            raise UnsafeArchiveError(f"{name!r} is both a file and a directory in the archive")
        return
    if name in links:
        raise UnsafeArchiveError(f"{name!r} is both a symlink and a directory in the archive")
    _make_directories(target, str(PurePosixPath(name).parent), made, links)
    (target / name).mkdir(mode=0o755)
    made.add(name)
