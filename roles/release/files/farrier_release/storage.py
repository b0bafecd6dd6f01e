"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import shutil
import stat
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_STATUS_FILE_MAX_BYTES = 1 << 20
# Far deeper than anything that this tool writes, and shallow enough for whatever walks through it.
_MAX_DEPTH = 32


def write_json(path: Path, data: Any, *, mode: int = 0o644, durable: bool = False) -> None:
    """Replace a file by JSON in one step.

    The directory must be one that only root can write in.

    Args:
        path: file to write.
        data: what `json` can encode.
        mode: permission bits.
        durable: whether the file survives a power loss right after the return.
    """
    write_bytes(path, f"{json.dumps(data, indent=2)}\n".encode(), mode=mode, durable=durable)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Replace a file in one step, as `write_json` does."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_directory(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object from a file that anybody may have put there.

    Symlinks and anything but a regular file of at most a megabyte are taken for no file; so is what is no
    JSON by the standard, is nested deeply, or has numbers that do not fit in 64 bits.

    Returns:
        The object, or None when there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _STATUS_FILE_MAX_BYTES:
            return None
        try:
            return decode_object(file.read())
        except ValueError:
            return None


def decode_object(data: str | bytes) -> dict[str, Any]:
    """Decode a JSON object that anybody may have written.

    Raises:
        ValueError: it is none, is nested deeply, or has numbers that do not fit in 64 bits.
    """
    try:
        decoded = json.loads(data, parse_constant=_refused, parse_float=_finite, parse_int=_of_64_bits)
    except RecursionError:
        decoded = None
    if not isinstance(decoded, dict) or not _is_shallow(decoded):
        raise ValueError("not a JSON object")
    return decoded


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is too large")
    return number


def _of_64_bits(text: str) -> int:
    if not -(1 << 63) <= (number := int(text)) < 1 << 63:
        raise ValueError(f"{text} is too large")
    return number


def _is_shallow(data: Any) -> bool:
    level = [data]
    for _ in range(_MAX_DEPTH):
        containers = [one for one in level if isinstance(one, (dict, list))]
        if not containers:
            return True
        level = [child for one in containers for child in (one.values() if isinstance(one, dict) else one)]
    return False


def sync_file_system(path: Path) -> None:
    """Bring all that was written to the file system of a directory to the disk.

    Raises:
        OSError: some of it could not be written.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def point(link: Path, target: str) -> None:
    """Make a symlink point to `target` in one step, whatever it pointed to before; durable."""
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(link)
    _sync_directory(link.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, if it is there. Symlinks are removed, never followed."""
    if path.is_symlink():
        path.unlink()
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def disk_used_bytes(path: Path) -> int:
    """Bytes that a directory takes on disk; files with several links counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    waiting = [str(path)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if (status.st_dev, status.st_ino) in seen:
                    continue
                if status.st_nlink > 1:
                    seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(entry.path)
    return total


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
