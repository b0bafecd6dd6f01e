"""A requirements.txt that names a part of the packages gets the rest from the last build of the same list."""

from __future__ import annotations

import platform

import pytest
from farrier_release.application import Application
from farrier_release.completion import find

from tests.unit.roles.release.conftest import add_release

HERE = {"version": platform.python_version(), "executable": "/usr/bin/python3"}
OTHER = {"version": "3.1.0", "executable": "/usr/bin/python3"}


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one to build with."""
    monkeypatch.setattr("farrier_release.interpreter.describe", lambda interpreter: HERE)


def add(application: Application, release: str, sha256: str, python: dict[str, str] = HERE) -> None:
    """A release built from a list."""
    packages = {"dep": release[-1]}
    add_release(application.configuration, release, lock_sha256=sha256, python=python, packages=packages)


def test_the_newest_build_of_the_same_list_counts(application: Application) -> None:
    """Not one of another list, and not one of another Python."""
    add(application, "20260101T000000Z-v1", "same")
    add(application, "20260102T000000Z-v2", "same")
    add(application, "20260103T000000Z-v3", "other")
    add(application, "20260104T000000Z-v4", "same", python=OTHER)
    assert find(application.releases, {"sha256": "same"}, "python3") == ("20260102T000000Z-v2", {"dep": "2"})


@pytest.mark.parametrize("sha256", ["", "new"])
def test_another_list_has_no_completion(application: Application, sha256: str) -> None:
    """Nor has a lock that is complete, of which nothing is recorded."""
    add(application, "20260101T000000Z-v1", "same")
    add(application, "20260102T000000Z-v2", "")
    assert find(application.releases, {"sha256": sha256}, "python3") == ("", {})


def test_what_the_controller_knows_counts_for_the_whole_fleet(application: Application) -> None:
    """If it was of the same Python."""
    add(application, "20260101T000000Z-v1", "same")
    minor = ".".join(platform.python_version_tuple()[:2])
    told = {"by": "r0", "packages": {"dep": "7"}}
    lock = {"sha256": "same", "completions": {minor: told}}
    assert find(application.releases, lock, "python3") == ("r0", {"dep": "7"})
    lock = {"sha256": "same", "completions": {"3.1": told}}
    assert find(application.releases, lock, "python3")[0] == "20260101T000000Z-v1"
