"""The configuration of the SSH server: what it says, and which file has said it first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

REPEATED = ("hostkey", "port", "listenaddress", "acceptenv", "subsystem")


def settings(said: str) -> dict[str, str]:
    """Return by keyword what `sshd -T` prints; if a keyword comes several times, all its values."""
    found: dict[str, str] = {}
    for line in said.splitlines():
        keyword, _, value = line.partition(" ")
        found[keyword] = f"{found[keyword]} {value}" if keyword in found and keyword in REPEATED else value
    return found


def set_by(path: Path) -> dict[str, str]:
    """Return by keyword in lower case the "file:line" that sets it for everyone: the first one counts.

    Args:
        path: sshd_config; what it includes is read where it is included.
    """
    found: dict[str, str] = {}
    for file, number, keyword in _lines(path, Path()):
        found.setdefault(keyword, f"{file}:{number}")
    return found


def set_before(path: Path, drop_in: Path) -> dict[str, str] | None:
    """Return what `set_by` does of the lines before a file; None: it is not included.

    Args:
        path: sshd_config.
        drop_in: The file, which need not be there yet.
    """
    found: dict[str, str] = {}
    for file, number, keyword in _lines(path, drop_in):
        if file == drop_in:
            return found
        found.setdefault(keyword, f"{file}:{number}")
    return None


def _lines(path: Path, expected: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield file, number and keyword of each line that is for everyone.

    Args:
        path: The file to begin with.
        expected: A file that is taken for one with an empty line.
    """
    if path == expected:
        yield path, 0, ""
    text = path.read_text(errors="replace") if path.is_file() else ""
    for number, line in enumerate(text.splitlines(), start=1):
        keyword, _, value = line.strip().replace("=", " ", 1).partition(" ")
        if keyword.lower() == "match":
            return
        if keyword.lower() == "include":
            for pattern in value.split():
                yield from _included(str(path.parent / pattern), expected)
        elif keyword and not keyword.startswith("#"):
            yield path, number, keyword.lower()


def _included(pattern: str, expected: Path) -> Iterator[tuple[Path, int, str]]:
    files = set(Path("/").glob(pattern.lstrip("/")))
    for file in sorted(files | ({expected} if expected.match(pattern) else set())):
        yield from _lines(file, expected)
