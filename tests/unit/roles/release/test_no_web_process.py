"""An app without a web process: its releases go live, come back and are recovered by its processes alone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from farrier_release import begin, processes, transaction
from farrier_release.application import Application
from farrier_release.errors import ExitCode
from farrier_release.state import Transaction

from tests.unit.roles.release.conftest import Run, add_release, request
from tests.unit.roles.release.machine import FakeHost, with_settings
from tests.unit.roles.release.test_processes import (
    NEW,
    OLD,
    SETTINGS,
    Units,
    both,
    old,
    provide,
    settings_in,
    units,
)

__all__ = ["old", "units"]  # fixtures


@pytest.fixture
def settings(directory: Any) -> dict[str, Any]:
    """A worker, a process that runs once, a timer, and nothing that answers requests."""
    return {**settings_in(directory), **SETTINGS, "web": False, "unit_directory": str(directory / "units")}


@pytest.fixture(autouse=True)
def no_service(old: Application, host: FakeHost) -> None:
    """There is no service; whoever asks for it is wrong."""
    host.systemctl("stop", "test.service")
    host.calls.clear()


def asked_for_the_service(host: FakeHost) -> list[str]:
    """What systemd was asked to do with units that such an app has not."""
    units = ("test.service", "test.socket", "test-rehearsal@", "test-stand-in@")
    return [call for call in map(str, host.calls) if "show" not in call and any(one in call for one in units)]


def test_a_release_goes_live_by_its_processes(run: Run, host: FakeHost, units: Units) -> None:
    """And the status says that all is well."""
    code, result = run("activate", "--token", "t")
    assert (code, result["how"]) == (ExitCode.SUCCESS, "processes")
    assert (units.running("worker"), units.running("beat")) == (both(NEW), [f"{NEW}.1"])
    found = run("status")[1]
    assert (found["live"], found["problem"], found["service"]) == (NEW, "", None)
    assert asked_for_the_service(host) == []


def test_a_process_that_does_not_stay_up_undoes_it(
    run: Run, host: FakeHost, old: Application, units: Units
) -> None:
    """As it does beside a web process."""
    units.dying.add("test-worker")
    assert run("activate", "--token", "t")[0] == ExitCode.UNDONE
    assert old.releases.live() == OLD
    assert (units.running("worker"), units.running("beat")) == (both(OLD), [f"{OLD}.1"])
    assert asked_for_the_service(host) == []


def test_a_process_that_ends_while_it_is_watched_undoes_it(
    run: Run, host: FakeHost, old: Application, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch looks at the processes, though there is no service to look at."""
    look = transaction.watch

    def watch(application: Application, one: Transaction) -> str:
        units.restarts[f"test-worker@{NEW}.2.service"] = 1
        return look(application, one)

    monkeypatch.setattr(transaction, "watch", watch)
    monkeypatch.setattr("farrier_release.watch._LOOK_EVERY_SECONDS", 0.01)
    with_settings(host, watch_seconds=5)
    assert run("activate", "--token", "t")[0] == ExitCode.SUCCESS
    assert old.releases.live() == OLD
    assert "did not stay healthy" in run("log")[1]["attempts"][-1]["message"]


def test_a_first_release_that_fails_leaves_nothing(
    run: Run, host: FakeHost, old: Application, units: Units
) -> None:
    """No process, and no unit is asked for that is not there."""
    host.configuration.current.unlink()
    processes.settle(old)
    units.dying.add("test-worker")
    assert run("activate", "--token", "t")[0] == ExitCode.UNDONE
    assert (old.releases.live(), units.running("worker")) == (None, [])
    assert asked_for_the_service(host) == []


@pytest.mark.parametrize("is_started", [True, False])
def test_an_interrupted_activation_ends(
    run: Run, host: FakeHost, old: Application, units: Units, is_started: bool
) -> None:
    """Where the new processes run it is finished, where they do not it is undone."""
    host.configuration.current.unlink()
    host.configuration.current.symlink_to(f"releases/{NEW}")
    if is_started:
        processes.start(old, NEW)
    flip = {"at": time.time(), "replaced": OLD, "how": "processes"}
    old.state.begin(Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="activate", flip=flip))
    run("recover")
    live = NEW if is_started else OLD
    assert (old.releases.live(), units.running("worker")) == (live, both(live))


def test_what_runs_already_is_not_deployed_again(run: Run, host: FakeHost, old: Application) -> None:
    """Unless a copy of a process is missing."""
    old.state.end()
    inputs = begin.build_inputs(old, {"archive_sha256": "a" * 64, "project": {"lock": {}}})
    add_release(host.configuration, "20260103T000000Z-v3", inputs=inputs, verified_at=1.0)
    provide(host, "20260103T000000Z-v3")
    host.configuration.current.unlink()
    host.configuration.current.symlink_to("releases/20260103T000000Z-v3")
    processes.settle(old)
    assert run("begin", "--request", request())[1]["new"] is False
    object.__setattr__(old.configuration.processes["worker"], "count", 3)
    assert begin.already_live(old, inputs) is False


def test_the_web_process_that_an_app_had_is_removed(run: Run, host: FakeHost, old: Application) -> None:
    """When its domains were taken out of the inventory."""
    old.state.end()
    directory = host.configuration.unit_directory
    for wants in ("sockets", "multi-user"):
        (directory / f"{wants}.target.wants").mkdir()
    names = ["test.socket", "test.service", "test-rehearsal@.service", "test-stand-in@.service"]
    for name in names:
        (directory / name).write_text("[Service]\n")
    (directory / "sockets.target.wants/test.socket").symlink_to(directory / "test.socket")
    message = run("processes", "--remove")[1]["message"]
    assert message == "; ".join(f"remove {name}" for name in names)
    assert not list(directory.rglob("test.*"))
    assert not list(directory.rglob("test-rehearsal*"))
