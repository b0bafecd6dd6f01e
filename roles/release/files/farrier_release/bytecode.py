"""Compiles what a release imports, quickly. Run by the release's own Python, as the build user.

The application cannot write in its release, so what is not compiled here would be compiled again by every
worker at every start. The packages of the live release are mostly the very same files (uv links them from
its cache): their compiled form is linked, and only the rest is compiled. The same file means the same inode:
size and time could be equal by chance.
"""

from __future__ import annotations

import compileall
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# Fewer files than this are compiled sooner than more processes are started.
_PARALLEL_FROM = 40
_CHUNK = 25


def link_compiled(old: str, new: str) -> list[str]:
    """Link compiled files of an old tree into a new one where the source is the same file.

    Args:
        old: directory of the live release, or "" for none.
        new: the corresponding directory of the new release.

    Returns:
        Paths of sources in `new` that are still to be compiled.
    """
    suffix = f".{sys.implementation.cache_tag}.pyc"
    left: list[str] = []
    for directory, directories, _ in os.walk(new):
        if "__pycache__" in directories:
            directories.remove("__pycache__")
        sources = {name: inode for name, inode in _inodes(directory).items() if name.endswith(".py")}
        counterpart = f"{old}{directory.removeprefix(new)}"
        old_sources = _inodes(counterpart) if old and sources else {}
        old_compiled = _inodes(f"{counterpart}/__pycache__") if old_sources else {}
        present = _inodes(f"{directory}/__pycache__") if sources else {}
        for name, inode in sources.items():
            compiled = f"{name.removesuffix('.py')}{suffix}"
            if compiled in present:
                continue
            same = old_sources.get(name) == inode and compiled in old_compiled
            if not same or not _link(f"{counterpart}/__pycache__", f"{directory}/__pycache__", compiled):
                left.append(f"{directory}/{name}")
    return left


def compile_all(sources: list[str]) -> None:
    """Compile sources, on all processors when they are many. A source that does not compile is left alone."""
    if len(sources) < _PARALLEL_FROM:
        _compile(sources)
        return
    chunks = [sources[start : start + _CHUNK] for start in range(0, len(sources), _CHUNK)]
    with ProcessPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_compile, chunks))


def _compile(sources: list[str]) -> None:
    for source in sources:
        compileall.compile_file(source, quiet=2)


def _link(old: str, new: str, name: str) -> bool:
    try:
        Path(new).mkdir(exist_ok=True)
        # Refused between file systems, where equal inodes mean nothing.
        os.link(f"{old}/{name}", f"{new}/{name}")
    except OSError:
        return False
    return True


def _inodes(directory: str) -> dict[str, int]:
    """Names in a directory with their inodes; nothing where there is none."""
    try:
        with os.scandir(directory) as entries:
            return {entry.name: entry.inode() for entry in entries}
    except OSError:
        return {}


if __name__ == "__main__":
    # Pairs of directories: old, new, old, new ...
    arguments = sys.argv[1:]
    compile_all(
        [
            source
            for pair in zip(arguments[::2], arguments[1::2], strict=True)
            for source in link_compiled(*pair)
        ]
    )
