"""Files of a host, and whether they have been applied: what was applied is kept until the next boot."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RECORDS = Path("/run/farrier-applied")
FIRST_PROCESS = Path("/proc/1")
DIRECTORY_MODE = 0o755


@dataclass(frozen=True)
class File:
    """What a path of the host is to be: a file, a link, a directory, or nothing.

    Attributes:
        dest: The path.
        content: Of a file.
        link: Target of a link.
        directory: Whether it is a directory.
        mode: Of a file, octal.
        group: Of a file; "" for that of whoever writes it.
        force: Whether to replace what is there.
        apply: Command that applies the file.
        due: Whether it is to be applied in any case.
    """

    dest: Path
    content: str | None = None
    link: str | None = None
    directory: bool = False
    mode: str = "0644"
    group: str = ""
    force: bool = True
    apply: Sequence[str] = ()
    due: bool = False


def differs(file: File) -> bool:
    """Tell whether the path is not yet what it is to be."""
    path, is_there = file.dest, os.path.lexists(file.dest)
    if file.directory:
        return not path.is_dir() or path.stat().st_mode & 0o7777 != DIRECTORY_MODE
    if file.link is not None:
        return not path.is_symlink() or str(path.readlink()) != file.link
    if file.content is None or (is_there and not file.force):
        return is_there and file.force
    if not is_there or path.is_symlink():
        return True
    if file.group not in ("", path.group()):
        return True
    return path.stat().st_mode & 0o7777 != int(file.mode, 8) or path.read_bytes() != file.content.encode()


def write(file: File) -> None:
    """Make the path what it is to be, in one step.

    Raises:
        OSError: for instance when the disk is full.
        LookupError: There is no such group.
    """
    path = file.dest
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    if file.directory:
        path.mkdir(exist_ok=True)
        path.chmod(DIRECTORY_MODE)
        return
    if file.content is None and file.link is None:
        path.unlink()
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # an earlier run may have been killed
    if file.content is None:
        fresh.symlink_to(str(file.link))
    else:
        fresh.touch(mode=0o600)
        fresh.write_text(file.content)
        if file.group:
            shutil.chown(fresh, group=file.group)
        fresh.chmod(int(file.mode, 8))
    fresh.replace(path)


def difference(file: File) -> dict[str, str]:
    """Return what `--diff` shows of a path that differs."""
    before = file.dest.read_text(errors="replace") if file.dest.is_file() else ""
    after = file.content or (f"link to {file.link}" if file.link else "")
    name = str(file.dest)
    return {"before": before, "after": after, "before_header": name, "after_header": name}


def digest(content: str) -> str:
    """Return a digest of what a settings file says: comments and blank lines say nothing."""
    lines = [line.strip() for line in content.splitlines()]
    said = [line for line in lines if line and line[0] not in "#;"]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def is_applied(
    path: Path, content: str, records: Path = RECORDS, first_process: Path = FIRST_PROCESS
) -> bool:
    """Tell whether a content has been applied, by a run or, where it is older, by the boot.

    Args:
        path: The settings file.
        content: What it is to say.
        records: Where `record` keeps what was applied.
        first_process: procfs of the machine's first process, which is as old as the boot.
    """
    try:
        found = digest(path.read_text())
    except FileNotFoundError:
        return False
    record = _record(path, records)
    known = (
        record.read_text() == found
        if record.exists()
        else path.stat().st_mtime < first_process.stat().st_mtime
    )
    return known and found == digest(content)


def record(path: Path, content: str, records: Path = RECORDS) -> None:
    """Note that the machine goes by a content now."""
    records.mkdir(mode=0o755, exist_ok=True)
    _record(path, records).write_text(digest(content))


def _record(path: Path, records: Path) -> Path:
    return records / str(path).strip("/").replace("/", "-")
