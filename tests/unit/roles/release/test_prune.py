"""What only removed releases needed goes: packages in uv's cache, and interpreters."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import uv
from farrier_release.cache import CacheOrder, shrink
from farrier_release.config import Configuration, parse
from farrier_release.interpreter import remove_unused

from tests.unit.roles.release.conftest import add_release, settings_in
from tests.unit.roles.release.test_builder import Workshop
from tests.unit.roles.release.wheels import make_wheel

LOCK: dict[str, Any] = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}


def versions_in(cache: Path) -> set[str]:
    """Of the package `dep`, in all archives."""
    return {path.name for path in cache.glob("archive-v*/*/dep-*.dist-info")}


def test_versions_that_no_release_needs_leave_the_cache(tmp_path: Path) -> None:
    """The others stay, so that a build goes on without an index."""
    cache = tmp_path / "cache"
    workshop = Workshop(tmp_path, cache)
    for version in ("1.0", "2.0"):
        workshop.write("requirements.txt", make_wheel(workshop.index, "dep", version))
        for name in ("source", ".venv"):
            shutil.rmtree(workshop.release / name)
            (workshop.release / name).mkdir()
        assert workshop.build(LOCK).error == ""
    assert versions_in(cache) == {"dep-1.0.dist-info", "dep-2.0.dist-info"}
    shrink(CacheOrder(str(cache), uv.find_uv_bin(), dropped=[["dep", "1.0"], ["gunicorn", "0.9"]]))
    assert versions_in(cache) == {"dep-2.0.dist-info"}
    for name in ("source", ".venv"):
        shutil.rmtree(workshop.release / name)
        (workshop.release / name).mkdir()
    assert workshop.build(LOCK, environment={"UV_OFFLINE": "1"}).error == ""


def test_a_cache_of_another_layout_is_left_alone(tmp_path: Path) -> None:
    """As that of a later uv may be, or what a build has made of it."""
    (tmp_path / "wheels-v99" / "dep").mkdir(parents=True)
    (tmp_path / "wheels-v99" / "dep" / "1.0").touch()
    (tmp_path / "wheels-v7").symlink_to("/etc")
    shrink(CacheOrder(str(tmp_path), "/bin/true", dropped=[["dep", "1.0"]]))
    assert (tmp_path / "wheels-v99" / "dep" / "1.0").exists()


@pytest.mark.parametrize(("limit_mb", "stays"), [(1, False), (4, True)])
def test_what_build_hooks_keep_has_a_limit(tmp_path: Path, limit_mb: int, stays: bool) -> None:
    """npm's downloads, say. What uv and the builder have there does not count, and stays."""
    for directory in (".npm/_cacache", "wheels-v5", "lock-tools"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "file").write_bytes(bytes(2 * 2**20))
    (tmp_path / ".npmrc").symlink_to("/etc/passwd")
    (tmp_path / "constraints.txt").touch()
    shrink(CacheOrder(str(tmp_path), "/bin/true", hooks_max_mb=limit_mb))
    left = {"wheels-v5", "lock-tools", "constraints.txt", *({".npm", ".npmrc"} if stays else ())}
    assert {path.name for path in tmp_path.iterdir()} == left


@pytest.fixture
def settings(directory: Path) -> Configuration:
    """An application that has a release with Python 3.12; 3.13 was installed, too, some time ago."""
    data = {**settings_in(directory), "python_directory": str(directory / "python")}
    for name in ("test", "other"):
        own = data if name == "test" else {**data, "name": "other", "root": str(directory / "other")}
        (directory / "etc" / name).mkdir(parents=True)
        (directory / "etc" / name / "release.json").write_text(json.dumps(own))
    for version in ("3.12.1", "3.13.1"):
        (directory / "python" / f"cpython-{version}-linux" / "bin").mkdir(parents=True)
        (directory / "python" / f"cpython-{version[:4]}-linux").symlink_to(f"cpython-{version}-linux")
        os.utime(directory / "python" / f"cpython-{version}-linux", (1, 1))
    add_release(parse(data, "test"), "20260101T000000Z-v1", python=python_of(directory, "3.12.1"))
    return parse(data, "test")


def python_of(directory: Path, version: str) -> dict[str, str]:
    """As a manifest has it."""
    return {"version": version, "executable": f"{directory}/python/cpython-{version}-linux/bin/python3"}


def names(settings: Configuration) -> list[str]:
    """What is left of the interpreters."""
    return sorted(path.name for path in settings.python_directory.iterdir())


def test_an_interpreter_that_no_release_uses_goes(settings: Configuration, directory: Path) -> None:
    """With the link of its minor version."""
    removed = remove_unused(settings, directory / "etc")
    assert [path.name for path in removed] == ["cpython-3.13.1-linux"]
    assert names(settings) == ["cpython-3.12-linux", "cpython-3.12.1-linux"]


@pytest.mark.parametrize("reason", ["release", "lease", "young", "unreadable", "unknown"])
def test_an_interpreter_that_may_be_needed_stays(
    settings: Configuration, directory: Path, reason: str
) -> None:
    """By another application, whose deploy may have just chosen it."""
    other = parse(json.loads((directory / "etc" / "other" / "release.json").read_text()), "other")
    if reason == "release":
        add_release(other, "20260101T000000Z-v1", python=python_of(directory, "3.13.1"))
    elif reason == "lease":
        lease = {"token": "t", "what": "deploy", "who": "ann", "owner": {}, "release": "r", "origin": None}
        (directory / "lock").mkdir()
        (directory / "lock" / "other.lease.json").write_text(
            json.dumps({**lease, "begun_at": 0.0, "renewed_at": 0.0})
        )
    elif reason == "young":
        os.utime(directory / "python" / "cpython-3.13.1-linux")
    elif reason == "unreadable":
        (directory / "etc" / "other" / "release.json").write_text("{")
    else:
        shutil.rmtree(directory / "etc" / "test")
    assert remove_unused(settings, directory / "etc") == []
    assert len(names(settings)) == 4
