"""A finished release cannot be changed by what is built later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from farrier_release.seal import seal


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """What a build has left: linked with uv's cache, and open to all in places."""
    cache, release = tmp_path / "cache", tmp_path / "releases" / "new"
    (release / ".venv" / "lib").mkdir(parents=True)
    cache.mkdir()
    for name in ("a.py", "b.py"):
        (cache / name).write_text(f"name = {name!r}\n")
        os.utime(cache / name, ns=(1, 1_000_000_007))
        os.link(cache / name, release / ".venv" / "lib" / name)
    (release / ".venv" / "lock").touch()
    (release / ".venv" / "lock").chmod(0o6666)
    (release / ".venv").chmod(0o777)
    (release / ".venv" / "python").symlink_to("/absent")
    return release


def test_what_is_written_through_the_cache_does_not_reach_a_release(release: Path, tmp_path: Path) -> None:
    """A hook that appends to a file in site-packages writes to all names of it."""
    seal(str(release))
    (tmp_path / "cache" / "a.py").write_text("evil = True\n")
    status = (release / ".venv" / "lib" / "a.py").stat()
    assert (release / ".venv" / "lib" / "a.py").read_text() == "name = 'a.py'\n"
    assert (status.st_nlink, status.st_mtime_ns) == (1, 1_000_000_007)
    assert not list(release.rglob("*.farrier-new"))


def test_whatever_modes_the_build_has_left(release: Path) -> None:
    """Nobody but root writes, and nothing is set-uid."""
    seal(str(release))
    modes = {path: path.lstat().st_mode & 0o7777 for path in release.rglob("*") if not path.is_symlink()}
    assert modes[release / ".venv" / "lock"] == 0o644
    assert {path for path, mode in modes.items() if mode & ~0o755} == set()


def test_everything_belongs_to_root_but_links_that_lead_out(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx follows a link to files of the same owner: one of root's would show every file of the host."""
    out = {release / ".venv" / name: target for name, target in (("up", "../../.."), ("chain", "etc"))}
    out |= {release / ".venv" / "etc": "/etc", release / ".venv" / "python": ""}
    for path, target in out.items():
        if target:
            path.symlink_to(target)
    (release / ".venv" / "inside").symlink_to("lib/a.py")
    (release / ".venv" / "later").symlink_to("../absent")
    taken = {}
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "chown", lambda path, *owner, follow_symlinks: taken.update({path: owner[0]}))
    seal(str(release))
    assert taken == dict.fromkeys((str(path) for path in release.rglob("*") if path not in out), 12345)


def test_releases_share_what_is_the_same_to_the_letter(release: Path, tmp_path: Path) -> None:
    """So that a deploy costs little disk, as links to the cache did before."""
    seal(str(release))
    other = tmp_path / "releases" / "other"
    (other / ".venv" / "lib").mkdir(parents=True)
    os.link(tmp_path / "cache" / "a.py", other / ".venv" / "lib" / "a.py")
    # Of the same size and time by chance.
    (other / ".venv" / "lib" / "b.py").write_text("name = 'B.py'\n")
    os.utime(other / ".venv" / "lib" / "b.py", ns=(1, 1_000_000_007))
    seal(str(other), str(release))
    assert (other / ".venv" / "lib" / "a.py").samefile(release / ".venv" / "lib" / "a.py")
    assert not (other / ".venv" / "lib" / "a.py").samefile(tmp_path / "cache" / "a.py")
    assert (other / ".venv" / "lib" / "b.py").read_text() == "name = 'B.py'\n"


@pytest.mark.parametrize("fault", ["mode", "owner"])
def test_what_is_not_sealed_is_not_shared(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """As in a release of an earlier version of this tool, which the build user can write in."""
    other = tmp_path / "releases" / "other"
    (other / "lib").mkdir(parents=True)
    (release / "lib").mkdir()
    for path in (other / "lib" / "c.py", release / "lib" / "c.py"):
        path.write_text("c = 1\n")
        os.utime(path, ns=(1, 1))
    if fault == "mode":
        (release / "lib" / "c.py").chmod(0o666)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        monkeypatch.setattr(os, "chown", lambda *_, **__: None)
    seal(str(other), str(release))
    assert not (other / "lib" / "c.py").samefile(release / "lib" / "c.py")
