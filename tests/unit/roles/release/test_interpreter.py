"""Which Python a release is built with: the one that is named, else the distribution's."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import uv
from farrier_release import interpreter
from farrier_release.application import Application
from farrier_release.errors import ReleaseError

from tests.unit.roles.release.machine import FakeHost

VERSION = ".".join(map(str, sys.version_info[:2]))
NEWER = f">={sys.version_info[0]}.{sys.version_info[1] + 1}"


@pytest.fixture
def application(host: FakeHost, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    """One without a `python` key, on a host with an interpreter of the distribution and one beside it."""
    for name in ("distribution", "beside"):
        (directory / name).mkdir()
        (directory / name / "python3").symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setattr(interpreter, "DISTRIBUTION", str(directory / "distribution" / "python3"))
    monkeypatch.setattr(interpreter, "SEARCH_PATH", f"{directory}/beside:{directory}/distribution")
    configuration = replace(
        host.configuration,
        uv=Path(uv.find_uv_bin()),
        python_directory=directory / "pythons",
        python_mirror="file:///nowhere",
    )
    return Application(configuration, host)


def with_python(application: Application, python: str) -> Application:
    return Application(replace(application.configuration, python=python), application.host)


@pytest.mark.parametrize("requires", ["", ">=3.11", f"=={VERSION}.*", f"~={VERSION}"])
def test_unset_is_the_one_of_the_distribution(application: Application, requires: str) -> None:
    """One that somebody puts into /usr/local/bin for another app moves nothing."""
    assert interpreter.choose(application, requires) == interpreter.DISTRIBUTION


def test_another_one_is_taken_and_named_only_if_the_distribution_has_none_that_fits(
    application: Application, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    (directory / "distribution" / "python3").unlink()
    (directory / "distribution" / "python3").write_text("#!/bin/sh\necho Python 3.9.2\n")
    (directory / "distribution" / "python3").chmod(0o755)
    found = interpreter.choose(application, ">=3.11")
    assert found == str(directory / "beside" / "python3")
    assert capsys.readouterr().err == (
        f"test: the app requires Python >=3.11, and {interpreter.DISTRIBUTION} is Python 3.9.2: "
        f"built with {found}\n"
    )


def test_none_that_fits_is_a_failure_with_the_fix(application: Application) -> None:
    """uv cannot provide one here."""
    with pytest.raises(ReleaseError, match=f"wants Python {NEWER}") as failure:
        interpreter.choose(application, NEWER)
    assert "set `python` of the application" in failure.value.next_command


@pytest.mark.parametrize("requires", ["", ">=3.11,<4"])
def test_path_is_used_as_it_is(application: Application, directory: Path, requires: str) -> None:
    """Wherever it lies."""
    path = directory / "elsewhere" / "bin" / "my-python"
    path.parent.mkdir(parents=True)
    path.symlink_to(os.path.realpath(sys.executable))
    assert interpreter.choose(with_python(application, str(path)), requires) == str(path)


@pytest.mark.parametrize(
    ("program", "requires", "reason"),
    [
        (None, "", "which is not a program on this host"),
        ("#!/bin/sh\nexit 1\n", "", "is not a Python"),
        (sys.executable, NEWER, "is not a Python that satisfies"),
    ],
)
def test_path_of_what_does_not_fit_is_refused(
    application: Application, directory: Path, program: str | None, requires: str, reason: str
) -> None:
    """Before anything is built."""
    path = directory / "python"
    if program == sys.executable:
        path.symlink_to(os.path.realpath(program))
    elif program:
        path.write_text(program)
        path.chmod(0o755)
    with pytest.raises(ReleaseError, match=reason):
        interpreter.choose(with_python(application, str(path)), requires)


def test_version_that_the_project_excludes_is_refused(application: Application) -> None:
    """Both are named."""
    assert interpreter.choose(with_python(application, VERSION), ">=3.11").endswith("/python3")
    reason = f"python is {VERSION!r}, but the application's requires-python is {NEWER!r}"
    with pytest.raises(ReleaseError, match=re.escape(reason)):
        interpreter.choose(with_python(application, VERSION), NEWER)
