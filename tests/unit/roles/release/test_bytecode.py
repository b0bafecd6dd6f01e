"""Compiled files of the live release are taken over only where the source is the very same file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from farrier_release.bytecode import compile_all, copy_compiled

PYC = f"module.{sys.implementation.cache_tag}.pyc"


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """An old tree with a compiled module, and a new one with the same file."""
    old, new = tmp_path / "old" / "package", tmp_path / "new" / "package"
    old.mkdir(parents=True)
    new.mkdir(parents=True)
    (old / "module.py").write_text("x = 1\n")
    compile_all([str(old / "module.py")])
    shutil.copy2(old / "module.py", new / "module.py")
    return old, new


def test_the_same_file_needs_no_second_compilation(trees: tuple[Path, Path]) -> None:
    """Both come from uv's cache, with its time."""
    old, new = trees
    assert copy_compiled(str(old.parent), str(new.parent)) == []
    assert (new / "__pycache__" / PYC).read_bytes() == (old / "__pycache__" / PYC).read_bytes()
    assert not (new / "__pycache__" / PYC).samefile(old / "__pycache__" / PYC)


def test_another_file_of_equal_size_and_time_is_compiled(trees: tuple[Path, Path]) -> None:
    """Python itself would believe the old compiled file: it looks at size and time alone."""
    old, new = trees
    (new / "module.py").unlink()
    (new / "module.py").write_text("x = 2\n")
    time_ns = (old / "module.py").stat().st_mtime_ns
    os.utime(new / "module.py", ns=(time_ns, time_ns))
    assert copy_compiled(str(old.parent), str(new.parent)) == [str(new / "module.py")]
    assert not (new / "__pycache__" / PYC).exists()


def test_without_an_old_release_everything_is_compiled(trees: tuple[Path, Path]) -> None:
    """And what is compiled is not compiled again."""
    _, new = trees
    left = copy_compiled("", str(new.parent))
    assert left == [str(new / "module.py")]
    compile_all(left)
    assert (new / "__pycache__" / PYC).exists()
    assert copy_compiled("", str(new.parent)) == []


def test_many_files_and_one_that_does_not_compile(tmp_path: Path) -> None:
    """Packages ship templates and samples for other Pythons: they are no reason to fail."""
    for number in range(60):
        (tmp_path / f"m{number}.py").write_text(f"x = {number}\n")
    (tmp_path / "broken.py").write_text("print 'no'\n")
    compile_all(copy_compiled("", str(tmp_path)))
    assert len(list((tmp_path / "__pycache__").iterdir())) == 60
