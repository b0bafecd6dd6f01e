"""The command `farrier`: what it becomes, and what it refuses."""

from __future__ import annotations

import pytest
from farrier_release import command
from farrier_release.errors import ExitCode
from farrier_release.host import Sandboxed

from tests.unit.roles.release.conftest import make_live
from tests.unit.roles.release.machine import FakeHost

LIVE = "20260101T000000Z-v1"


class BecameError(BaseException):
    """Stands for the command in this process's place."""


@pytest.fixture
def tasks(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> list[Sandboxed]:
    """What it became; the caller is root."""
    tasks: list[Sandboxed] = []

    def become(task: Sandboxed) -> None:
        tasks.append(task)
        raise BecameError

    monkeypatch.setattr(host, "become_sandboxed", become)
    monkeypatch.setattr(command.os, "geteuid", lambda: 0)
    return tasks


def farrier(host: FakeHost, *arguments: str) -> int:
    return command.main(arguments, host=host, configuration_directory=host.configuration_directory)


def test_a_command_runs_as_the_app_would_in_the_live_release(host: FakeHost, tasks: list[Sandboxed]) -> None:
    """Its own options and quotes stay as they are, and nothing ends it."""
    make_live(host, LIVE)
    with pytest.raises(BecameError):
        farrier(host, "run", "test", "--", "python", "-c", "print($x)", "--", "a b")
    (task,) = tasks
    assert task.command[-6:] == ["--", "python", "-c", "print($x)", "--", "a b"]
    assert (task.user, task.timeout_seconds) == ("test", None)
    assert task.environment is not None
    assert task.environment["FARRIER_RELEASE_DIRECTORY"].endswith(LIVE)
    line = task.argv("--pty")
    assert {"--pty", "--property=RuntimeMaxSec=infinity"} <= set(line)
    assert line[-3] == "print($$x)"


def test_a_shell(host: FakeHost, tasks: list[Sandboxed]) -> None:
    """Without the command's name."""
    make_live(host, LIVE)
    with pytest.raises(BecameError):
        farrier(host, "shell", "test")
    assert tasks[0].command[-2:] == ["--", "/bin/bash"]


def test_what_is_refused(
    host: FakeHost,
    tasks: list[Sandboxed],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what to do."""
    assert farrier(host, "run", "test", "--", "true") == ExitCode.USAGE
    assert "No release of test is live on this host." in capsys.readouterr().err
    make_live(host, LIVE)
    assert farrier(host, "run", "test") == ExitCode.USAGE
    assert "Next: farrier run test -- COMMAND" in capsys.readouterr().err
    assert farrier(host, "run", "absent", "--", "true") == ExitCode.CONFIGURATION
    assert "It has: test" in capsys.readouterr().err
    monkeypatch.setattr(command.os, "geteuid", lambda: 1000)
    assert farrier(host, "run", "test", "--", "true") == ExitCode.USAGE
    assert "Next: sudo farrier run test" in capsys.readouterr().err
    assert tasks == []
