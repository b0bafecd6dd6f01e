"""Archives that are hostile are refused, whatever Python's tarfile thinks of them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from farrier_release.extract import UnsafeArchiveError, extract


def archive(path: Path, *members: tuple[str, str, str | bytes]) -> Path:
    """Members are (kind, name, content or target)."""
    kinds = {
        "dir": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
    }
    with tarfile.open(path, "w:gz") as tar:
        for kind, name, content in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o755 if kind == "program" else 0o644
            member.type = kinds.get(kind, tarfile.REGTYPE)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.linkname = content
                tar.addfile(member)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where to unpack to."""
    path = tmp_path / "target"
    path.mkdir()
    return path


def test_a_tree_is_unpacked(tmp_path: Path, target: Path) -> None:
    """Files, programs, directories that are not listed, and symlinks within."""
    source = archive(
        tmp_path / "a.tar.gz",
        ("file", "a/b.py", b"x = 1"),
        ("program", "run", b"#!/bin/sh"),
        ("dir", "empty", ""),
        ("link", "a/link", "../run"),
    )
    assert extract(source, target) == 2
    assert (target / "a" / "b.py").read_bytes() == b"x = 1"
    assert (target / "run").stat().st_mode & 0o777 == 0o755
    assert (target / "a" / "b.py").stat().st_mode & 0o777 == 0o644
    assert (target / "a" / "link").resolve() == target / "run"
    assert (target / "empty").is_dir()


def test_files_are_as_new_as_the_unpacking(tmp_path: Path, target: Path) -> None:
    """The archive's times are all 0: no compiled file or HTTP cache could tell two releases apart."""
    extract(archive(tmp_path / "a.tar.gz", ("file", "a.py", b"x = 1")), target)
    assert (target / "a.py").stat().st_mtime > 1_000_000_000


@pytest.mark.parametrize(
    "members",
    [
        [("file", "../outside", b"x")],
        [("file", "/tmp/farrier-outside", b"x")],
        [("file", "a/../../outside", b"x")],
        [("link", "l", "/etc"), ("file", "ok", b"x")],
        [("link", "l", "../outside")],
        [("link", "a/l", "../../outside")],
        [("link", "a/l", "b/../../../outside")],
        [("link", "a", "b"), ("file", "a/x", b"x")],
        [("file", "a/x", b"x"), ("link", "a", "b")],
        [("file", "a", b"x"), ("file", "a", b"y")],
        [("file", "a", b"x"), ("file", "a/b", b"y")],
        [("device", "null", "")],
        [("hard", "h", "/etc/passwd")],
    ],
)
def test_what_leads_out_or_twice_to_one_place_is_refused(
    tmp_path: Path, target: Path, members: list[tuple[str, str, str | bytes]]
) -> None:
    """Names, symlinks, writing through symlinks, devices, hard links."""
    outside = set(tmp_path.iterdir())
    source = archive(tmp_path / "a.tar.gz", *members)
    with pytest.raises((UnsafeArchiveError, FileExistsError)):
        extract(source, target)
    assert set(tmp_path.iterdir()) == outside | {source}


def test_a_cut_off_archive_is_refused(tmp_path: Path, target: Path) -> None:
    """As after a broken upload."""
    source = archive(tmp_path / "a.tar.gz", ("file", "a", bytes(100_000)))
    source.write_bytes(source.read_bytes()[:60])
    with pytest.raises((tarfile.TarError, EOFError)):
        extract(source, target)
