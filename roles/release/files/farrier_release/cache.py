"""Keeps the build cache from growing for ever. Runs as the build user, from a `CacheOrder` on stdin.

uv knows what nothing in its cache refers to, but not which versions no release needs any more. The cache is
the home of build hooks, too: what npm and others keep there has a limit.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from farrier_release.server_packages import normalise
from farrier_release.storage import disk_used_bytes, remove_tree


@dataclass
class CacheOrder:
    """What may go.

    Args:
        cache: uv's cache directory.
        uv: path of uv.
        built: names of packages that were built from a release's source, of which nothing may stay.
        dropped: name and version of packages that only removed releases had.
        hooks_max_mb: what build hooks may keep there.
    """

    cache: str
    uv: str
    built: list[str] = field(default_factory=list)
    dropped: list[list[str]] = field(default_factory=list)
    hooks_max_mb: int = 2048


# What uv and the builder have there.
_OWN = re.compile(r".+-v\d+|\.lock|\.gitignore|CACHEDIR\.TAG|lock-tools|[a-z-]+\.txt")


def shrink(order: CacheOrder) -> None:
    """Remove it. What is not laid out as expected stays."""
    dropped = {(name, version) for name, version in order.dropped}
    # pypi/NAME, and index/DIGEST/NAME
    for bucket, depth in itertools.product(("wheels-v*", "sdists-v*"), ("*/*", "*/*/*")):
        for package in Path(order.cache).glob(f"{bucket}/{depth}"):
            for entry in package.iterdir() if package.is_dir() and not package.is_symlink() else ():
                if (normalise(package.name), _version_of(entry.name)) in dropped:
                    _remove(entry)
    for arguments in (["clean", *order.built] if order.built else [], ["prune"]):
        if arguments:
            environment = {**os.environ, "UV_CACHE_DIR": order.cache, "HOME": order.cache}
            subprocess.run([order.uv, "--quiet", "cache", *arguments], env=environment, check=False)

    _limit_the_rest(Path(order.cache), order.hooks_max_mb * 2**20)


def _limit_the_rest(cache: Path, limit_bytes: int) -> None:
    rest = [path for path in cache.iterdir() if not _OWN.fullmatch(path.name)]
    if sum(map(_bytes, rest)) > limit_bytes:
        for path in rest:
            _remove(path)


def _bytes(path: Path) -> int:
    """What a file, or a directory with all that is in it, takes on the disk; a link is not followed."""
    inside = disk_used_bytes(path) if path.is_dir() and not path.is_symlink() else 0
    return path.lstat().st_blocks * 512 + inside


def _remove(path: Path) -> None:
    remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _version_of(entry: str) -> str:
    """`1.20.1` of `1.20.1-py3-none-any.http`, `1.20.1-516d0c2242d49034` and `1.20.1`."""
    return entry.partition("-")[0]


def main() -> None:
    """Shrink the cache that standard input names."""
    os.umask(0o022)
    shrink(CacheOrder(**json.load(sys.stdin)))


if __name__ == "__main__":
    main()
