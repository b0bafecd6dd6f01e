"""Make a finished release root's, so that no later build can change it.

A build shares files with uv's cache by hard links, and whoever writes to one name writes to all. Here each
of them gets a copy of its own, or becomes a link to the same file of another sealed release, which is root's.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress

_CHUNK_BYTES = 1 << 18


def seal(directory: str, like: str = "") -> None:
    """Seal a release in which no process writes any more.

    Args:
        directory: of the release.
        like: directory of a sealed release that may have files in common with it, or "".

    Raises:
        OSError: no space, for example.
    """
    waiting, links = [directory], []
    while waiting:
        path = waiting.pop()
        with os.scandir(path) as entries:
            found = [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]
        for name, status in found:
            if stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            if stat.S_ISLNK(status.st_mode):
                links.append((name, status))
            elif not stat.S_ISREG(status.st_mode):
                _take(name, status)
            elif not (like and _share(f"{like}{name.removeprefix(directory)}", name, status)):
                if status.st_nlink > 1:
                    unshare(name, status)
                    status = os.lstat(name)
                _take(name, status)
    inside = f"{os.path.realpath(directory)}/"
    for name, status in links:
        # nginx follows a link to what the link's owner owns: root's own would lead to the whole host.
        if os.path.realpath(name).startswith(inside):
            _take(name, status)


def is_sealed(path: str) -> bool:
    """Whether a file or directory belongs to this process's user, that is, to root."""
    return os.lstat(path).st_uid == os.geteuid()


def unshare(path: str, status: os.stat_result) -> None:
    """Replace a file by a copy of the same mode and times that has no other name."""
    temporary = f"{path}.farrier-new"
    with suppress(FileNotFoundError):
        os.unlink(temporary)  # noqa: PTH108 - strings, for speed
    shutil.copyfile(path, temporary, follow_symlinks=False)
    os.chmod(temporary, stat.S_IMODE(status.st_mode))  # noqa: PTH101 - strings, for speed
    os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(temporary, path)  # noqa: PTH105 - strings, for speed


def _take(path: str, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or status.st_gid != os.getegid():
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
    mode = _sealed_mode(status)
    if not stat.S_ISLNK(status.st_mode) and mode != stat.S_IMODE(status.st_mode):
        os.chmod(path, mode)  # noqa: PTH101 - strings, for speed


def _sealed_mode(status: os.stat_result) -> int:
    """Whatever modes the build has left: nobody else writes, nothing is set-uid."""
    return stat.S_IMODE(status.st_mode) & 0o755


def _share(other: str, path: str, status: os.stat_result) -> bool:
    """Replace a file by a link to the same one of a sealed release, if that is the same to the letter."""
    try:
        known = os.lstat(other)
    except OSError:
        return False
    wanted = (stat.S_IFREG | _sealed_mode(status), os.geteuid(), status.st_size, status.st_mtime_ns)
    if (known.st_mode, known.st_uid, known.st_size, known.st_mtime_ns) != wanted:
        return False
    if (known.st_dev, known.st_ino) == (status.st_dev, status.st_ino):
        return True
    if not same_content(other, path):
        return False
    temporary = f"{path}.farrier-new"
    try:
        os.link(other, temporary, follow_symlinks=False)
    except OSError:  # no more links to this one, or another file system
        return False
    os.replace(temporary, path)  # noqa: PTH105 - strings, for speed
    return True


def same_content(one: str, other: str) -> bool:
    """Whether two regular files hold the same bytes."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        os.fdopen(os.open(one, flags), "rb", buffering=0) as first,
        os.fdopen(os.open(other, flags), "rb", buffering=0) as second,
    ):
        while True:
            chunk = first.read(_CHUNK_BYTES)
            if chunk != second.read(_CHUNK_BYTES):
                return False
            if not chunk:
                return True
