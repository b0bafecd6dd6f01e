"""Keeps uv's cache from growing for ever. Runs as the build user in a sandbox, from a `CacheOrder` on stdin.

uv knows what nothing in its cache refers to, but not which versions no release needs any more.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from farrier_release.server_packages import normalise


@dataclass
class CacheOrder:
    """What may go.

    Args:
        cache: uv's cache directory.
        uv: path of uv.
        built: names of packages that were built from a release's source, of which nothing may stay.
        dropped: name and version of packages that only removed releases had.
    """

    cache: str
    uv: str
    built: list[str] = field(default_factory=list)
    dropped: list[list[str]] = field(default_factory=list)


def shrink(order: CacheOrder) -> None:
    """Remove it. What is not laid out as expected stays."""
    dropped = {(name, version) for name, version in order.dropped}
    # pypi/NAME, and index/DIGEST/NAME
    for bucket, depth in itertools.product(("wheels-v*", "sdists-v*"), ("*/*", "*/*/*")):
        for package in Path(order.cache).glob(f"{bucket}/{depth}"):
            for entry in package.iterdir() if package.is_dir() and not package.is_symlink() else ():
                if (normalise(package.name), _version_of(entry.name)) in dropped:
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink(missing_ok=True)
    for arguments in (["clean", *order.built] if order.built else [], ["prune"]):
        if arguments:
            environment = {**os.environ, "UV_CACHE_DIR": order.cache, "HOME": order.cache}
            subprocess.run([order.uv, "--quiet", "cache", *arguments], env=environment, check=False)


def _version_of(entry: str) -> str:
    """`1.20.1` of `1.20.1-py3-none-any.http`, `1.20.1-516d0c2242d49034` and `1.20.1`."""
    return entry.partition("-")[0]


def main() -> None:
    """Shrink the cache that standard input names."""
    os.umask(0o022)
    shrink(CacheOrder(**json.load(sys.stdin)))


if __name__ == "__main__":
    main()
