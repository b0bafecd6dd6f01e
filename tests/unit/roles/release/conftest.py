"""An application `test` on a machine of its own."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farrier_release.__main__ import main
from farrier_release.application import Application
from farrier_release.config import Configuration, parse
from farrier_release.storage import point, write_json

from tests.unit.roles.release.machine import PACKAGES, PYTHON, FakeHost

Run = Callable[..., tuple[int, dict[str, Any]]]
SHA = "a" * 64


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a path short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="fr"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def settings(directory: Path) -> dict[str, Any]:
    """What release.json holds."""
    return settings_in(directory)


def settings_in(directory: Path) -> dict[str, Any]:
    """What release.json holds on a machine that has a directory for all that is its own."""
    return {
        "name": "test",
        "root": str(directory / "srv"),
        "socket": str(directory / "web.sock"),
        "run_directory": str(directory / "run"),
        "rehearsal_directory": str(directory / "rehearsal"),
        "stand_in_directory": str(directory / "stand-in"),
        "lock_directory": str(directory / "lock"),
        "log_directory": str(directory / "log"),
        "gunicorn_settings": str(directory / "etc" / "test" / "gunicorn.json"),
        "server_requirements": str(directory / "server.txt"),
        "uv": str(directory / "uv"),
        "free_disk_min_mb": 0,
        "rehearsal_seconds": 0,
        "rehearsal_timeout_seconds": 1,
        "verify_timeout_seconds": 1,
        "watch_seconds": 0,
    }


@pytest.fixture
def host(directory: Path, settings: dict[str, Any]) -> Iterator[FakeHost]:
    """The machine, prepared as the role prepares it."""
    host = prepare(directory, settings)
    yield host
    host.close()


def prepare(directory: Path, settings: dict[str, Any]) -> FakeHost:
    """A machine as the role leaves it."""
    configuration = parse(settings, "test")
    (directory / "etc" / "test").mkdir(parents=True)
    (directory / "etc" / "test" / "release.json").write_text(json.dumps(settings))
    (directory / "etc" / "test" / "gunicorn.json").write_text("{}")
    for name in ("server.txt", "uv"):
        (directory / name).touch()
    for path in (configuration.releases_directory, configuration.incoming_directory, directory / "lock"):
        path.mkdir(parents=True)
    return FakeHost(configuration, directory / "etc")


@pytest.fixture
def application(host: FakeHost) -> Application:
    """The application."""
    return Application(host.configuration, host)


@pytest.fixture
def run(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line; returns the exit code and the decoded result."""
    return runner(host, capsys)


def runner(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line on a machine."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        command, *rest = arguments
        capsys.readouterr()
        code = main(
            ["--app", "test", command, "--json", *rest],
            host=host,
            configuration_directory=host.configuration_directory,
        )
        return code, json.loads(capsys.readouterr().out)

    return run


def add_release(configuration: Configuration, release: str, **manifest: Any) -> str:
    """A built release; `verified_at` and `replaced` as given."""
    directory = configuration.release_directory(release)
    (directory / "source").mkdir(parents=True)
    write_json(
        directory / ".farrier.json",
        {"release": release, "python": PYTHON, "packages": PACKAGES, "inputs": {}, **manifest},
    )
    return release


def make_live(host: FakeHost, release: str, **manifest: Any) -> str:
    """A release that serves."""
    add_release(host.configuration, release, verified_at=time.time(), **manifest)
    point(host.configuration.current, f"releases/{release}")
    host.systemctl("start", "test.service")
    host.calls.clear()
    return release


def request(**changes: Any) -> str:
    """What `begin` is asked for."""
    return json.dumps(
        {"archive_sha256": SHA, "version": "v2", "project": {"lock": {}}, "who": "somebody", "owner": {}}
        | changes
    )
