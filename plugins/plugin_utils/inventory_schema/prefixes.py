"""URL prefixes, and which of them a path is below."""

from __future__ import annotations

from collections.abc import Iterable


def around(path: str, prefixes: Iterable[str]) -> list[str]:
    """Return the prefixes that a path is below or equal to, slash at their end or not, widest first."""
    return sorted((one for one in prefixes if f"{path}/".startswith(f"{one.rstrip('/')}/")), key=len)
