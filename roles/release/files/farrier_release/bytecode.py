"""Compiles what a release imports, quickly. Run by the release's own Python, as the build user.

The application cannot write in its release, so what is not compiled here would be compiled again by every
worker at every start. The packages of the live release are mostly the same files: their compiled form is
copied, and only the rest is compiled. The same file means the same content and time: Python itself looks at
size and time alone, which could be equal by chance.
"""

from __future__ import annotations

import compileall
import os
import stat
import sys
from concurrent.futures import ProcessPoolExecutor

# Fewer files than this are compiled sooner than more processes are started.
_PARALLEL_FROM = 40
_CHUNK = 25


def copy_compiled(old: str, new: str) -> list[str]:
    """Copy compiled files of an old tree into a new one where the source is the same.

    Args:
        old: directory of the live release, or "" for none.
        new: the corresponding directory of the new release.

    Returns:
        Paths of sources in `new` that are still to be compiled.
    """
    suffix = f".{sys.implementation.cache_tag}.pyc"
    left: list[str] = []
    for directory, directories, names in os.walk(new):
        if "__pycache__" in directories:
            directories.remove("__pycache__")
        counterpart = f"{old}{directory.removeprefix(new)}" if old else ""
        for name in names:
            compiled = f"__pycache__/{name.removesuffix('.py')}{suffix}"
            if not name.endswith(".py") or os.path.lexists(f"{directory}/{compiled}"):
                continue
            source = f"{directory}/{name}"
            same = counterpart and _same(f"{counterpart}/{name}", source)
            if not same or not _copy(f"{counterpart}/{compiled}", f"{directory}/{compiled}"):
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


def _same(old: str, new: str) -> bool:
    """Whether two regular files have the same time and the same content."""
    try:
        before, now = os.lstat(old), os.lstat(new)
        if not stat.S_ISREG(before.st_mode) or not stat.S_ISREG(now.st_mode):
            return False
        if (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
            return False
        with open(old, "rb") as first, open(new, "rb") as second:  # noqa: PTH123 - strings, for speed
            return first.read() == second.read()
    except OSError:
        return False


def _copy(old: str, new: str) -> bool:
    """Copy a file with its time, which lets `seal` share it."""
    try:
        os.makedirs(os.path.dirname(new), exist_ok=True)  # noqa: PTH103, PTH120 - strings, for speed
        with open(old, "rb") as source, open(new, "xb") as target:  # noqa: PTH123 - strings, for speed
            target.write(source.read())
        time_ns = os.stat(old).st_mtime_ns  # noqa: PTH116 - strings, for speed
        os.utime(new, ns=(time_ns, time_ns))
    except OSError:
        return False
    return True


if __name__ == "__main__":
    # Pairs of directories: old, new, old, new ...
    arguments = sys.argv[1:]
    compile_all(
        [
            source
            for pair in zip(arguments[::2], arguments[1::2], strict=True)
            for source in copy_compiled(*pair)
        ]
    )
