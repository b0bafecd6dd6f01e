"""Commands with the app's environment: migrations and hooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.roles.app_server.host import LIBRARY, Host

SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), os.getcwd(), sys.argv[1:], os.getpid()]))"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release that is not current, with a command of its own."""
    host = Host(tmp_path)
    host.write_environment({"API_KEY": "s3cr3t", "LANG": "C.UTF-8"})
    release = tmp_path / "releases" / "next"
    (release / "source" / "project").mkdir(parents=True)
    programs = release / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "own-python").symlink_to(sys.executable)
    (programs / "not-executable").touch()
    return release


def command(release: Path, *arguments: str) -> list[str]:
    settings = str(release.parent.parent / "gunicorn.json")
    return [sys.executable, "-m", "farrier_gunicorn.execute", "--settings", settings, "--", *arguments]


def environment(release: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(LIBRARY), "FARRIER_RELEASE_DIRECTORY": str(release)}


def execute(release: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(release, *arguments), env=environment(release), capture_output=True, text=True, timeout=60
    )


def test_command_runs_as_the_app_would(release: Path) -> None:
    """Its environment, its directory, its programs first; arguments are passed on as they are."""
    done = execute(release, "own-python", "-c", SHOW, "--settings", "a b", "--")
    environ, directory, arguments, _ = json.loads(done.stdout)
    assert environ["API_KEY"] == "s3cr3t"
    assert environ["RELEASE_ID"] == "next"
    assert environ["LANG"] == "C.UTF-8"
    assert environ["PATH"] == f"{release}/.venv/bin:{os.environ['PATH']}"
    assert directory == str(release / "source" / "project")
    assert arguments == ["--settings", "a b", "--"]


def test_command_takes_the_place_of_the_helper(release: Path) -> None:
    """So that signals, exit code and the service manager's view are the command's."""
    process = subprocess.Popen(
        command(release, "own-python", "-c", SHOW), env=environment(release), stdout=subprocess.PIPE
    )
    output, _ = process.communicate(timeout=60)
    assert json.loads(output)[3] == process.pid


def test_exit_code_is_passed_on(release: Path) -> None:
    """A migration that fails stops the deploy."""
    assert execute(release, "own-python", "-c", "raise SystemExit(7)").returncode == 7


@pytest.mark.parametrize(
    ("program", "code", "complaint"),
    [
        ("alembic", 127, "alembic: there is no such command in"),
        ("not-executable", 126, "not-executable: Permission denied"),
    ],
)
def test_command_that_cannot_be_run_is_named(release: Path, program: str, code: int, complaint: str) -> None:
    """With the exit codes of a shell, and the place where it was looked for."""
    done = execute(release, program)
    assert done.returncode == code
    assert complaint in done.stderr


def test_mistake_in_the_settings_is_named(release: Path) -> None:
    """The same message as gunicorn's."""
    (release.parent.parent / "environment.json").unlink()
    done = execute(release, "true")
    assert done.returncode == 78
    assert "environment.json: cannot be read" in done.stderr


def test_a_copy_of_a_process_runs_in_the_release_of_its_name(release: Path) -> None:
    """Its unit is an instance RELEASE.N."""
    words = command(release, "own-python", "-c", SHOW)
    words[5:5] = ["--copy", f"{release}.12"]
    environ = environment(release)
    del environ["FARRIER_RELEASE_DIRECTORY"]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)[0]["RELEASE_ID"] == "next"
