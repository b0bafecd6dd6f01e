"""activate: both the symlink and the service move, or neither; also when the activation itself is killed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from farrier_release import rehearse
from farrier_release.application import Application
from farrier_release.errors import ExitCode
from farrier_release.state import Transaction
from farrier_release.storage import read_json, write_json

from tests.unit.roles.release.conftest import Run, add_release, make_live
from tests.unit.roles.release.machine import PYTHON, Behaviour, FakeHost, KilledError, with_settings

OLD, NEW = "20260101T000000Z-v1", "20260102T000000Z-v2"


def activate(run: Run, host: FakeHost, *, release: str = NEW, origin: str | None = OLD) -> tuple[int, Any]:
    """Activate a release that was built and rehearsed."""
    transaction = Transaction("t", "deploy", "ann", {}, release, origin, time.time(), phase="prepared")
    Application(host.configuration, host).state.begin(transaction)
    return run("activate", "--token", "t")


@pytest.fixture
def two(host: FakeHost) -> FakeHost:
    """An old release that serves, and a new one that is ready."""
    make_live(host, OLD)
    add_release(host.configuration, NEW)
    return host


def test_a_reload_keeps_the_master(run: Run, two: FakeHost) -> None:
    """Same Python, same packages, same unit."""
    master = two.main_pid
    code, result = activate(run, two)
    assert (code, result["how"]) == (ExitCode.SUCCESS, "reload")
    assert (two.main_pid, two.server.release, two.live()) == (master, NEW, NEW)
    assert two.configuration.former.readlink().name == OLD
    assert two.phase() == ""


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"python": {**PYTHON, "version": "3.13.5"}}, "Python 3.11.2 became 3.13.5"),
        ({"python": {**PYTHON, "executable": "/opt/python"}}, "became /opt/python"),
        ({"packages": {"gunicorn": "27.0.1", "uvicorn": "0.54.1"}}, "uvicorn 0.54.0 became 0.54.1"),
        ({"packages": {"gunicorn": "27.0.1"}}, "uvicorn 0.54.0 became none"),
    ],
)
def test_what_the_master_has_loaded_asks_for_an_overlap(
    run: Run, host: FakeHost, manifest: dict[str, Any], why: str
) -> None:
    """A reload could not replace it. Which and why is said."""
    make_live(host, OLD)
    add_release(host.configuration, NEW, **manifest)
    master = host.main_pid
    code, result = activate(run, host)
    assert (code, result["how"]) == (ExitCode.SUCCESS, "overlap")
    assert why in result["why"]
    assert host.main_pid != master
    assert host.server.release == NEW


def units_started(host: FakeHost) -> list[str]:
    """What runs a second copy of the app."""
    return [call for call in host.calls if "start" in call and ("rehearsal" in call or "stand-in" in call)]


@pytest.mark.parametrize("boots", [True, False])
def test_an_app_of_which_one_copy_may_run_stops_first(run: Run, two: FakeHost, boots: bool) -> None:
    """Neither a rehearsal nor a stand-in runs beside it, on the way there and back."""
    with_settings(two, handover="stop_first")
    two.behaviours[NEW] = Behaviour(boots=boots)
    application = Application(two.configuration, two)
    transaction = Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="begin")
    application.state.begin(transaction)
    assert rehearse.rehearse(application, transaction)["how"] == "restart"
    master = two.main_pid
    code, result = activate(run, two)
    live = NEW if boots else OLD
    assert code == (ExitCode.SUCCESS if boots else ExitCode.UNDONE)
    assert (two.live(), two.server.release) == (live, live)
    if boots:
        assert (result["how"], result["why"]) == ("restart", "only one copy of the app may run")
        assert two.main_pid != master
    assert units_started(two) == []


def test_packages_that_the_master_has_not_loaded_ask_for_none(run: Run, host: FakeHost) -> None:
    """A reload brings the application's own dependencies."""
    make_live(host, OLD)
    add_release(host.configuration, NEW, packages={"gunicorn": "27.0.1", "uvicorn": "0.54.0", "fastapi": "9"})
    assert activate(run, host)[1]["how"] == "reload"


UNIT = "[Service]\nEnvironment=FARRIER_UNIT={}\n"


@pytest.fixture
def with_unit(two: FakeHost, tmp_path: Path) -> FakeHost:
    """A host whose unit says what it is worth, and whose master was started by it."""
    two.unit_file = tmp_path / "test.service"
    two.unit_file.write_text(UNIT.format("one"))
    two._write_master(OLD)
    return two


@pytest.mark.parametrize("need_daemon_reload", [True, False])
def test_a_changed_unit_asks_for_an_overlap(run: Run, with_unit: FakeHost, need_daemon_reload: bool) -> None:
    """Whether systemd has read it already or not."""
    assert with_unit.unit_file
    with_unit.unit_file.write_text(UNIT.format("two"))
    with_unit.need_daemon_reload = need_daemon_reload
    _, result = activate(run, with_unit)
    assert (result["how"], result["why"]) == ("overlap", "test.service changed since the master was started")
    assert ("daemon-reload" in with_unit.calls) == need_daemon_reload


def test_a_reworded_comment_of_the_unit_asks_for_none(run: Run, with_unit: FakeHost) -> None:
    """systemd reads it anew, and the master goes on."""
    assert with_unit.unit_file
    with_unit.unit_file.write_text("# other words\n" + UNIT.format("one"))
    os.utime(with_unit.unit_file, (time.time() + 10, time.time() + 10))
    with_unit.need_daemon_reload = True
    assert activate(run, with_unit)[1]["how"] == "reload"
    assert "daemon-reload" in with_unit.calls


def test_settings_that_a_reload_would_refuse_ask_for_an_overlap(run: Run, two: FakeHost) -> None:
    """site.yml was cut short before it restarted the app: the deploy would fail for it."""
    two.configuration.gunicorn_settings.write_text('{"worker_class": "stock"}')
    assert activate(run, two)[1]["why"] == "worker_class was handover and is stock"


@pytest.mark.parametrize(
    ("server", "how"), [("uvicorn", "reload"), ("hypercorn", "overlap"), ("gthread", "overlap")]
)
def test_release_of_another_server_gets_another_master(
    run: Run, host: FakeHost, server: str, how: str
) -> None:
    """Whatever the settings name by now, and on the way back, too."""
    make_live(host, OLD)
    add_release(host.configuration, NEW, server=server)
    result = activate(run, host)[1]
    assert result["how"] == how
    assert how == "reload" or result["why"].startswith("worker_class was handover and is handover_")


def test_a_unit_that_is_newer_than_the_master_asks_for_an_overlap(
    run: Run, two: FakeHost, tmp_path: Path
) -> None:
    """daemon-reload was done, a restart was not."""
    two.unit_file = tmp_path / "test.service"
    two.unit_file.touch()
    os.utime(two.unit_file, (time.time() + 10, time.time() + 10))
    assert activate(run, two)[1]["why"] == "test.service changed since the master was started"


@pytest.mark.parametrize("master", [{}, {"pid": 1, "started_at": 1.0}, {"pid": None, "packages": 3}])
def test_a_master_that_says_nothing_of_itself_is_replaced(
    run: Run, two: FakeHost, master: dict[str, Any]
) -> None:
    """Or says something of another one: the file may be anything."""
    write_json(two.configuration.run_directory / "master.json", master)
    assert activate(run, two)[1]["how"] == "overlap"


def test_a_service_that_does_not_run_is_started(run: Run, two: FakeHost) -> None:
    """With its socket, even if systemd had given up on it."""
    two.systemctl("stop", "test.service")
    assert activate(run, two)[1]["how"] == "start"
    assert "reset-failed test.service" in two.calls
    assert "start test.socket test.service" in two.calls


def test_the_first_release(run: Run, host: FakeHost) -> None:
    """There is nothing before it."""
    add_release(host.configuration, NEW)
    assert activate(run, host, origin=None)[0] == ExitCode.SUCCESS
    status = run("status")[1]
    assert (status["live"], status["previous"]) == (NEW, None)


def test_a_first_release_that_fails_leaves_nothing_live(run: Run, host: FakeHost) -> None:
    """No symlink, no service, and no socket on which clients would wait for nobody."""
    add_release(host.configuration, NEW)
    host.behaviours[NEW] = Behaviour(boots=False)
    code, result = activate(run, host, origin=None)
    assert code == ExitCode.UNDONE
    assert "Nothing is live, as before" in result["message"]
    assert not host.configuration.current.is_symlink()
    assert "stop test.socket test.service" in host.calls
    assert not host.active


def test_a_reload_that_fails_is_undone(run: Run, two: FakeHost) -> None:
    """The old release serves as before, and the message has the application's own error."""
    two.behaviours[NEW] = Behaviour(boots=False, error="ImportError: later than the rehearsal")
    master = two.main_pid
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert "ImportError: later than the rehearsal" in result["message"]
    assert f"{OLD} is live again" in result["message"]
    assert result["error"]["log"] == ["a line of test.service"]
    assert (two.live(), two.server.release, two.main_pid) == (OLD, OLD, master)
    assert (result["live"], result["live_problem"]) == (OLD, "")
    status = run("status")[1]
    assert (status["lease"], status["attempts"][-1]["result"]) == (None, "undone")
    # Workers of it may still be draining.
    assert two.configuration.release_directory(NEW).exists()


def test_a_restart_that_fails_is_undone(run: Run, two: FakeHost) -> None:
    """By another one: there is no master left to reload."""
    two.configuration.gunicorn_settings.write_text('{"worker_class": "stock"}')
    two.behaviours[NEW] = Behaviour(dies_when_live=True)
    code, _ = activate(run, two)
    assert code == ExitCode.UNDONE
    assert (two.active, two.live(), two.server.release) == (True, OLD, OLD)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (Behaviour(status=503), "answered 503"),
        (Behaviour(claims="another"), "X-Release another"),
    ],
)
def test_workers_that_are_up_but_not_right_are_undone(
    run: Run, two: FakeHost, behaviour: Behaviour, message: str
) -> None:
    """Answers over the socket count, not files."""
    two.behaviours[NEW] = behaviour
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert message in result["message"]
    assert two.server.release == OLD


def test_a_hook_after_the_activation_that_fails_undoes_it(run: Run, two: FakeHost) -> None:
    """With its output; and the hook for that is run in the old release."""
    with_settings(two, hooks={"after_activate": ["announce"], "after_rollback": ["withdraw"]})
    two.failing_tasks.add("announce")
    two.task_output = "no such channel"
    code, result = activate(run, two)
    assert code == ExitCode.UNDONE
    assert result["error"]["log"] == ["no such channel"]
    assert two.server.release == OLD
    assert two.calls[-1] != "farrier-test-after-activate: announce"
    assert "farrier-test-after-rollback: withdraw" in two.calls


def test_when_not_even_the_undoing_works_it_is_shouted(run: Run, two: FakeHost) -> None:
    """Another exit code, the last command to try, and it is not over for the next attempt."""
    two.configuration.gunicorn_settings.write_text('{"worker_class": "stock"}')
    two.behaviours[NEW] = Behaviour(dies_when_live=True)
    two.behaviours[OLD] = Behaviour(dies_when_live=True)
    code, result = activate(run, two)
    assert code == ExitCode.BROKEN
    assert "COULD NOT BE RESTORED" in result["message"]
    assert "journalctl -u test.service" in result["error"]["next_command"]
    assert result["live_problem"]
    assert two.phase() == "activate"
    two.behaviours.clear()
    assert run("recover")[1]["changed"] is True
    assert two.server.release == OLD
    assert two.phase() == ""


def test_an_activation_that_is_killed_before_the_reload_is_undone(run: Run, two: FakeHost) -> None:
    """The symlink had moved already; what is left in the state says so."""
    two.interrupt_reload = True
    with pytest.raises(KilledError):
        activate(run, two)
    assert two.live() == NEW
    assert two.phase() == "activate"
    started = next(call for call in two.calls if call.startswith("farrier-test-transaction, then /bin/sh"))
    order = started.partition("--order ")[2].strip("'")
    assert run("recover", "--order", "another")[1]["changed"] is False
    code, result = run("recover", "--order", order)
    assert code == ExitCode.SUCCESS
    assert f"{OLD} is live" in result["message"]
    assert (two.live(), two.server.release) == (OLD, OLD)
    assert run("recover")[1]["changed"] is False


def test_an_activation_that_is_killed_after_the_reload_is_finished(run: Run, two: FakeHost) -> None:
    """Everything serves the new release: there is no reason to go back."""
    activate(run, two)
    manifest = two.configuration.release_directory(NEW) / ".farrier.json"
    forgotten = {key: value for key, value in (read_json(manifest) or {}).items() if key != "verified_at"}
    write_json(manifest, {**forgotten, "replaced": None})
    marker = {"from": OLD, "to": NEW, "replaced": OLD, "who": "ann", "at": time.time()}
    write_json(two.configuration.root / ".activation.json", marker)  # as version 0.1 has left it
    assert "is finished" in run("recover")[1]["message"]
    status = run("status")[1]
    assert (status["live"], status["previous"], status["problem"]) == (NEW, OLD, "")


def test_an_activation_whose_result_is_lost_says_so(
    run: Run, two: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit was killed: the follower has nothing to read, and points to where to look."""
    monkeypatch.setattr("farrier_release.state.StateFile.report", lambda *_: None)
    begun = activate(run, two)[1]
    code, result = run("follow", "--order", begun["order"], "--offset", str(begun["offset"]))
    assert code == ExitCode.BROKEN
    assert "The result of farrier-test-transaction is lost" in result["message"]
    assert "journalctl -u farrier-test-transaction" in result["error"]["next_command"]


def test_what_the_applications_user_may_forge_is_not_followed(
    run: Run, two: FakeHost, tmp_path: Path
) -> None:
    """Its run directory is its own: a link, a pipe or a monster there stops nobody."""
    master = two.configuration.run_directory / "master.json"
    elsewhere = tmp_path / "master.json"
    elsewhere.write_text(master.read_text())
    for forge in (
        lambda: master.symlink_to(elsewhere),
        lambda: os.mkfifo(master),
        lambda: master.write_text('"text"'),
        lambda: master.write_bytes(b" " * 2_000_000),
    ):
        master.unlink()
        forge()
        assert "does not report how many workers" in run("status")[1]["problem"]
