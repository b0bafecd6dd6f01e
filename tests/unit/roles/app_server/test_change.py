"""What has changed on disk is taken up by a reload or a restart: real masters, changed and changed back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from farrier_gunicorn import change, status, take_up

from tests.unit.roles.app_server.host import LIBRARY, Host, wait_for

UNIT = "[Service]\nEnvironment=FARRIER_UNIT=one\n"
SOCKET = "[Socket]\nListenStream=/run/example.sock\n"


class Machine(take_up.Machine):
    """A host of the tests in systemd's place, its master under a unit."""

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.calls, self.stale, self.state = host, [], False, ""
        for name in ("UNITS", "SETTINGS", "RUN"):
            monkeypatch.setattr(take_up, name, host.directory / "by-app" / name)
            (host.directory / "by-app" / name).mkdir(parents=True)
        (take_up.UNITS / "example.service").write_text(UNIT)
        (take_up.UNITS / "example.socket").write_text(SOCKET)
        (take_up.SETTINGS / "example").symlink_to(host.directory)
        (take_up.RUN / "example").symlink_to(host.run_directory)

    def start(self) -> None:
        """Start the master by the unit as it is now."""
        found = change._UNIT_LINE.search((take_up.UNITS / "example.service").read_text())
        self.host.start(**({"FARRIER_UNIT": found[1]} if found else {}))

    def restart(self) -> None:
        """Do what a restart that is due asks for."""
        self.host.stop()
        self.start()

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.calls.append(" ".join(arguments))
        if arguments[0] == "reload":
            return self.host.reload()
        return subprocess.CompletedProcess(arguments, 0, "", "")

    def service(self, app: str) -> take_up.Service:
        running = self.host.master is not None and self.host.master.poll() is None
        state = self.state or ("active" if running else "inactive")
        return take_up.Service(state, self.host.master.pid if self.host.master and running else 0)

    def needs_daemon_reload(self, apps: list[str]) -> bool:
        return self.stale

    def log(self, app: str, since: float) -> list[str]:
        return []

    def take_up(self) -> take_up.Outcome:
        """What a run does, and what the next one finds."""
        return take_up.take_up(self, ["example"])


@pytest.fixture
def machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose app runs and has taken up everything."""
    machine = Machine(host, monkeypatch)
    machine.start()
    assert machine.take_up() == take_up.Outcome()
    return machine


SETTINGS = {
    "timeout_seconds": 20,
    "graceful_timeout_seconds": 20,
    "boot_timeout_seconds": 20,
    "keepalive_seconds": 40,
    "proxy_keepalive_seconds": 2,
    "backlog": 256,
    "max_requests": 1000,
    "max_requests_jitter": 100,
    "worker_memory_max_mb": 1000,
    "workers": 3,
    "subdir": "project/.",
}


@pytest.mark.parametrize(
    ("key", "value", "how"),
    [
        *((key, value, "reload") for key, value in SETTINGS.items()),
        ("worker_class", "handover_h11", "reload"),
        ("worker_class", "stock", "restart"),
        ("worker_class", "stock_h11", "restart"),
    ],
)
def test_every_setting_is_taken_up_changed_and_changed_back(
    machine: Machine, key: str, value: object, how: str
) -> None:
    """By a reload, or by the restart that it asks for; a second run finds nothing to do."""
    before = machine.host.settings[key]
    for wanted in (value, before):
        machine.host.write_settings(**{key: wanted})
        found = machine.take_up()
        if how == "restart":
            assert "worker_class" in found.restart["example"]
            machine.restart()
        else:
            assert found.done["example"].startswith("reload: ")
        wait_for(lambda: machine.host.get(), "the app answers", machine.host)
        assert machine.take_up() == take_up.Outcome()


def test_a_stock_master_takes_up_its_settings(make_host: Callable[..., Host], monkeypatch: Any) -> None:
    """Its own reload, and its own word of what it runs with."""
    host = make_host(worker_class="stock")
    host.add_release("1")
    host.activate("1")
    machine = Machine(host, monkeypatch)
    machine.start()
    assert machine.take_up() == take_up.Outcome()
    host.write_environment({"GREETING": "hello"})
    assert "reload" in machine.take_up().done["example"]
    assert machine.take_up() == take_up.Outcome()


def test_another_environment_is_reloaded_and_another_layout_is_not(machine: Machine) -> None:
    """Keys in another order, or a comma on another line, say the same."""
    machine.host.write_environment({"A": "1", "B": "2"})
    assert machine.take_up().done == {"example": "reload: its settings or its environment have changed"}
    (machine.host.directory / "environment.json").write_text('{\n  "B": "2",\n  "A": "1"\n}\n')
    (machine.host.directory / "gunicorn.json").write_text(json.dumps(machine.host.settings, indent=4))
    assert machine.take_up() == take_up.Outcome()


def test_an_app_of_which_one_copy_may_run_is_restarted_for_its_settings(machine: Machine) -> None:
    """A reload starts new workers beside the old ones."""
    machine.host.write_settings(handover="stop_first")
    machine.restart()
    assert machine.take_up() == take_up.Outcome()
    machine.host.write_environment({"A": "1"})
    found = machine.take_up()
    assert (found.done, found.restart) == (
        {},
        {"example": "its settings or its environment have changed"},
    )


def test_a_reload_that_fails_is_tried_again_by_the_next_run(machine: Machine) -> None:
    """The workers of before go on, with what they had."""
    machine.host.write_settings(module="example:nothing")
    for _ in range(2):
        assert "systemctl reload example.service failed" in machine.take_up().errors["example"]
        assert machine.host.get()["code"] == "1"
    machine.host.write_settings(module="example:app")
    assert machine.take_up() == take_up.Outcome()


def test_a_reload_that_only_a_restart_can_replace_is_handed_over_by_one(machine: Machine) -> None:
    """Such as into a release with another gunicorn, which a deploy that broke off has left."""
    release = machine.host.add_release("other")
    (metadata,) = (release / ".venv/lib").glob("python*/site-packages")
    (metadata / "gunicorn-27.99.0.dist-info").mkdir()
    machine.host.activate("other")
    machine.host.write_environment({"A": "1"})
    found = machine.take_up()
    assert "release other brings gunicorn 27.99.0, the master runs" in found.restart["example"]
    assert found.errors == found.done == {}
    assert machine.host.get()["code"] == "1"


def test_another_unit_asks_for_a_restart_that_is_told_first(machine: Machine) -> None:
    """Every run says so until somebody has done it."""
    (take_up.UNITS / "example.service").write_text(UNIT.replace("one", "two"))
    for _ in range(2):
        assert machine.take_up() == take_up.Outcome(restart={"example": "its unit has changed"})
    machine.restart()
    assert machine.take_up() == take_up.Outcome()


def test_a_reworded_comment_of_a_unit_restarts_nothing(machine: Machine) -> None:
    """systemd reads the file anew, and that is all."""
    (take_up.UNITS / "example.service").write_text(f"# other words\n{UNIT}")
    machine.stale = True
    machine.calls.clear()
    assert machine.take_up() == take_up.Outcome()
    assert machine.calls == ["daemon-reload"]


def test_another_package_asks_for_a_restart(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The master has loaded it, and a reload keeps the master."""
    monkeypatch.setattr(change, "library_digest", lambda _: "another")
    assert machine.take_up().restart == {"example": "the package farrier_gunicorn has changed"}


def test_every_file_of_the_package_counts(tmp_path: Path) -> None:
    """Nothing else in its directory does."""
    (tmp_path / "a.py").write_text("1")
    before = change.library_digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    assert change.library_digest(tmp_path) == before
    (tmp_path / "b.py").write_text("")
    assert change.library_digest(tmp_path) != before
    assert change.library_digest(LIBRARY / "farrier_gunicorn") != before


def test_a_master_of_before_is_restarted(machine: Machine) -> None:
    """What it does not say cannot be compared."""
    path = machine.host.run_directory / "master.json"
    said = json.loads(path.read_text())
    path.write_text(
        json.dumps({key: said[key] for key in said if key not in ("unit", "library", "settings")})
    )
    assert machine.take_up().restart == {"example": "its unit has changed"}
    path.write_text("[" * 100_000)
    assert "does not report" in machine.take_up().restart["example"]


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating", "activating"])
def test_what_does_not_run_is_left_alone(machine: Machine, state: str) -> None:
    """An operator has stopped it, it has no release yet, or each of its attempts reads the files anew."""
    machine.host.stop()
    machine.state = state
    machine.host.write_settings(workers=3)
    assert machine.take_up() == take_up.Outcome()


def test_a_socket_is_never_restarted_but_told(machine: Machine) -> None:
    """By what the master was handed, not by what some file says."""
    running = status.read_master(machine.host.run_directory)
    assert running is not None
    listeners = ("/a.sock", "[::1]:80")
    disk = change.OnDisk(running.unit, running.library, running.settings, "handover", "overlap", listeners)
    running.listeners.append("/a.sock")
    found = change.choose("active", running.pid, running, disk)
    assert (found.how, found.socket) == ("nothing", "does not listen on [::1]:80 yet")
    running.listeners.append("10.0.0.1:80")
    found = change.choose("active", running.pid, running, disk)
    assert found.socket == "does not listen on [::1]:80 yet and still listens on 10.0.0.1:80"


def test_no_apps_are_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """An inventory that begins."""
    machine = take_up.Machine()
    machine.systemctl = None  # type: ignore[assignment,method-assign]  # nothing may be asked for
    assert take_up.main([], machine) == 0
    assert json.loads(capsys.readouterr().out)["errors"] == {}


def test_files_that_cannot_be_read_are_told_and_keep_no_other_app_from_it(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file's name."""
    machine.host.write_settings(workers=3)
    assert take_up.main(["missing", "example"], machine) == 1
    said = capsys.readouterr()
    assert "SETTINGS/missing/gunicorn.json: cannot be read" in said.err
    assert json.loads(said.out)["done"]["example"].startswith("reload")
