"""overlap: a stand-in serves while the service restarts; a bad one costs nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from farrier_release.application import Application
from farrier_release.errors import ExitCode
from farrier_release.state import Transaction
from farrier_release.storage import read_json, write_json

from tests.unit.roles.release.conftest import Run, add_release, make_live
from tests.unit.roles.release.machine import DONE, PACKAGES, Behaviour, FakeHost, KilledError
from tests.unit.roles.release.test_activation import NEW, OLD, activate

RESTART = "restart test.service"
START_NEW = f"start test-stand-in@{NEW}.service"
STOP_NEW, STOP_ALL = (f"stop --no-block test-stand-in@{release}.service" for release in (NEW, "*"))


@pytest.fixture
def two(host: FakeHost) -> FakeHost:
    """A release that serves, and one with another server package."""
    make_live(host, OLD)
    add_release(host.configuration, NEW, packages={**PACKAGES, "uvicorn": "0.55.0"})
    return host


def steps(host: FakeHost) -> list[str]:
    """What was done to the service and its stand-ins, in order."""
    known = ("start ", "stop ", "restart ", "reload ")
    others = ("-rehearsal@", "farrier-")
    return [
        call for call in host.calls if call.startswith(known) and not any(other in call for other in others)
    ]


def test_the_service_restarts_while_the_stand_in_serves(run: Run, two: FakeHost) -> None:
    """And when the service is back, the stand-in goes in its own time."""
    code, result = activate(run, two)
    assert (code, result["how"]) == (ExitCode.SUCCESS, "overlap")
    assert steps(two)[:3] == [START_NEW, RESTART, STOP_ALL]
    assert (two.server.release, two.server.beside) == (NEW, None)


def test_somebody_accepts_all_the_time(run: Run, two: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service goes when the stand-in answers, and the stand-in when the service does."""
    seen = []

    def restart() -> Any:
        seen.append(two.server.beside)
        return start()

    start = two._start
    monkeypatch.setattr(two, "_start", restart)
    activate(run, two)
    assert seen == [(200, NEW)]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (Behaviour(stands_in=False), "it does not start"),
        (Behaviour(stand_in_status=503), "/healthz over the socket answered 503"),
    ],
)
def test_a_stand_in_that_is_not_good_leaves_the_service_alone(
    run: Run, two: FakeHost, behaviour: Behaviour, message: str
) -> None:
    """The release is found bad while the one before it serves."""
    two.behaviours[NEW] = behaviour
    master = two.main_pid
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert f"test-stand-in@{NEW}.service, which is to serve meanwhile, failed: {message}" in result["message"]
    assert result["error"]["log"] == [f"a line of test-stand-in@{NEW}.service"]
    assert RESTART not in two.calls
    assert STOP_NEW in two.calls
    assert (two.main_pid, two.live(), two.server.release, two.server.beside) == (master, OLD, OLD, None)


def test_one_with_too_few_workers_is_not_good(
    run: Run, two: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has to serve alone while the service restarts."""

    def with_one_of_two(verb: str, unit: str) -> Any:
        done = stand_in(verb, unit)
        if verb == "start":
            write_json(two.configuration.stand_in_directory / NEW / "master.json", {"workers": 2})
        return done

    stand_in = two._stand_in
    monkeypatch.setattr(two, "_stand_in", with_one_of_two)
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert f"1 of 2 workers serve {NEW}" in result["message"]
    assert RESTART not in two.calls


def test_the_same_master_afterwards_is_a_failure(
    run: Run, two: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have loaded what it had before, whatever its workers say."""

    def keep_the_master() -> Any:
        main_pid, done = two.main_pid, start()
        two.main_pid = main_pid
        return done

    start = two._start
    monkeypatch.setattr(two, "_start", keep_the_master)
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert "test.service was not restarted" in result["message"]


def test_one_that_is_never_asked_is_not_good(
    run: Run, two: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers are up, but all connections go to the others: does it listen on the same socket?"""

    def elsewhere(verb: str, unit: str) -> Any:
        done = stand_in(verb, unit)
        two.server.beside = None
        return done

    stand_in = two._stand_in
    monkeypatch.setattr(two, "_stand_in", elsewhere)
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert f"answered with X-Release {OLD}, not {NEW}" in result["message"]
    assert RESTART not in two.calls


def test_a_service_that_does_not_come_back_is_covered_until_the_undo_is_done(run: Run, two: FakeHost) -> None:
    """The stand-in of the new release goes when the service is back in the old one."""
    two.behaviours[NEW] = Behaviour(dies_when_live=True)
    code, _ = activate(run, two)
    assert code == ExitCode.UNDONE
    assert steps(two) == [START_NEW, RESTART, RESTART, STOP_ALL]
    assert (two.active, two.live(), two.server.release, two.server.beside) == (True, OLD, OLD, None)


@pytest.mark.parametrize("killed_at", [START_NEW, RESTART, STOP_ALL])
def test_no_stand_in_outlives_an_activation_that_was_killed(run: Run, two: FakeHost, killed_at: str) -> None:
    """Whatever comes of the release."""
    two.killed_at = killed_at
    with pytest.raises(KilledError):
        activate(run, two)
    assert run("recover")[0] == ExitCode.SUCCESS
    assert two.server.beside is None
    assert two.server.release == two.live()
    assert run("status")[1]["problem"] == ""


def test_a_restart_of_the_live_release(run: Run, host: FakeHost) -> None:
    """Another master in the same release, which has been live since it went live."""
    make_live(host, OLD, activated_at=1.0)
    master = host.main_pid
    code, result = run("restart", "--who", "ann")
    assert (code, result["how"], result["changed"]) == (ExitCode.SUCCESS, "overlap", True)
    assert host.main_pid != master
    assert (host.live(), host.server.release, host.server.beside) == (OLD, OLD, None)
    manifest = read_json(host.configuration.release_directory(OLD) / ".farrier.json") or {}
    assert (manifest["activated_at"], manifest.get("replaced")) == (1.0, None)
    last = run("status")[1]["attempts"][-1]
    assert (last["what"], last["who"], last["result"]) == ("restart", "ann", "live")
    assert run("status")[1]["watched"] is False


def test_a_restart_that_was_killed_is_finished(run: Run, host: FakeHost) -> None:
    """The release went live when it did, and nobody has to do anything."""
    make_live(host, OLD, activated_at=1.0)
    host.killed_at = STOP_ALL
    with pytest.raises(KilledError):
        run("restart")
    assert "is finished" in run("recover")[1]["message"]
    assert host.server.beside is None
    assert (read_json(host.configuration.release_directory(OLD) / ".farrier.json") or {})[
        "activated_at"
    ] == 1.0


def test_a_restart_that_was_killed_locks_nobody_out(run: Run, host: FakeHost) -> None:
    """The next one need not wait for its lease to become stale."""
    make_live(host, OLD)
    host.killed_at = RESTART
    with pytest.raises(KilledError):
        run("restart")
    assert run("restart")[0] == ExitCode.SUCCESS
    assert host.server.beside is None


def test_a_restart_that_fails_changes_nothing(run: Run, host: FakeHost) -> None:
    """A sandbox in which the app does not start is noticed while it serves outside of it."""
    make_live(host, OLD)
    host.behaviours[OLD] = Behaviour(stands_in=False)
    master = host.main_pid
    code, result = run("restart")
    assert code == ExitCode.UNDONE
    assert f"{OLD} did not restart: " in result["message"]
    assert "farrier.kit.site" in result["error"]["next_command"]
    assert (host.main_pid, host.server.release, host.server.beside) == (master, OLD, None)


def test_a_service_that_was_stopped_stays_so(run: Run, host: FakeHost) -> None:
    """By whoever did it, for whatever reason."""
    make_live(host, OLD)
    host.systemctl("stop", "test.service")
    assert run("restart")[1]["changed"] is False
    assert not host.active


def test_a_restart_waits_for_no_deploy(run: Run, host: FakeHost) -> None:
    """Whose it is, and what to do, is said."""
    make_live(host, OLD)
    deploy = Transaction("t", "deploy", "ben", {}, NEW, OLD, time.time())
    Application(host.configuration, host).state.begin(deploy)
    code, result = run("restart")
    assert code == ExitCode.BUSY
    assert "ben" in result["message"]


def test_what_a_stand_in_left_does_not_answer_after_a_reload(run: Run, host: FakeHost) -> None:
    """One that nobody ended would go on serving the release before."""
    make_live(host, OLD)
    add_release(host.configuration, NEW)
    assert host.systemctl("start", f"test-stand-in@{OLD}.service") == DONE
    code, result = activate(run, host)
    assert (code, result["how"]) == (ExitCode.SUCCESS, "reload")
    assert host.server.beside is None
