"""Whether a settings file has been applied: what was applied last is kept until the next boot."""

from __future__ import annotations

import hashlib
from pathlib import Path

RECORDS = Path("/run/farrier-applied")
FIRST_PROCESS = Path("/proc/1")


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
    record = _record(path, records)
    if record.exists():
        return record.read_text() == digest(content)
    try:
        before_boot = path.stat().st_mtime < first_process.stat().st_mtime
        return before_boot and digest(path.read_text()) == digest(content)
    except FileNotFoundError:
        return False


def record(path: Path, content: str, records: Path = RECORDS) -> None:
    """Note that the machine goes by a content now."""
    records.mkdir(mode=0o755, exist_ok=True)
    _record(path, records).write_text(digest(content))


def replace(path: Path, content: str, mode: int) -> bool:
    """Write a file in one step; return whether it was another one."""
    is_there = path.exists() and path.read_text() == content and path.stat().st_mode & 0o7777 == mode
    if not is_there:
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(content)
        temporary.chmod(mode)
        temporary.replace(path)
    return not is_there


def _record(path: Path, records: Path) -> Path:
    return records / str(path).strip("/").replace("/", "-")
