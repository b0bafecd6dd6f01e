"""Which TCP port an app listens on for edges of other machines."""

from __future__ import annotations

import zlib

# Above those of the system, below those that Linux gives to outgoing connections.
LOWEST = 1024
HIGHEST = 32_767

_DERIVED_FROM = 20_000
_DERIVED_COUNT = 10_000


def derived(name: str) -> int:
    """Return the port of an app whose inventory does not say one: the same on every host and at every run."""
    return _DERIVED_FROM + zlib.crc32(name.encode()) % _DERIVED_COUNT
