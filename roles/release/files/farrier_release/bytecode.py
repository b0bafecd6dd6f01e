"""Compiles what a release imports, quickly. Run by the release's own Python, as the build user.

The application cannot write in its release, so what is not compiled here would be compiled again by every worker at every
start. The packages of the live release are mostly the very same files (uv links them from its cache): their compiled form
is linked, and only the rest is compiled. The same file means the same inode: size and time could be equal by chance.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor

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
    for directory, directories, files in os.walk(new):
        sources = [name for name in files if name.endswith(".py")]
        if "__pycache__" in directories:
            directories.remove("__pycache__")
        if not sources:
            continue
        counterpart = os.path.join(old, os.path.relpath(directory, new)) if old else ""
        compiled = set(_list(os.path.join(counterpart, "__pycache__"))) if counterpart else set()
        cache = os.path.join(directory, "__pycache__")
        present = set(_list(cache))
        for name in sources:
            wanted = f"{name[:-3]}{suffix}"
            source = os.path.join(directory, name)
            if wanted in present:
                continue
            if wanted in compiled and _same(os.path.join(counterpart, name), source):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(cache)
                try:
                    os.link(os.path.join(counterpart, "__pycache__", wanted), os.path.join(cache, wanted))
                    continue
                except OSError:
                    pass
            left.append(source)
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


def _same(one: str, other: str) -> bool:
    try:
        first, second = os.stat(one), os.stat(other)
    except OSError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _list(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


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
