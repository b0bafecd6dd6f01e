"""processes: what runs beside the web process goes live, comes back and ends with the release."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from farrier_release import processes, transaction
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.host import Completed
from farrier_release.releases import working_in
from farrier_release.state import Transaction

from tests.unit.roles.release.conftest import Run, add_release, make_live, settings_in
from tests.unit.roles.release.machine import DONE, FakeHost

OLD, NEW = "20260101T000000Z-v1.0", "20260102T000000Z-v2.0"
UNIT = "[Service]\nExecStart=x\n\n[X-Farrier]\nApp={}\n"
SETTINGS = {
    "processes": {
        "worker": {"command": "arq shop.jobs", "count": 2},
        "beat": {"command": "beat", "once": True},
    },
    "timers": {"digest": {"command": "python -m digest", "schedule": "daily"}},
}


@dataclass
class Units:
    """The units of processes and timers, in place of systemd.

    Args:
        states: of each unit that systemd knows.
        dying: units (up to the @) whose copies end by themselves.
        restarts: how often systemd has started each again.
        calls: what systemd was asked to do.
        is_slow: whether it is seen to do nothing yet of what nobody waits for.
    """

    states: dict[str, str] = field(default_factory=dict)
    dying: set[str] = field(default_factory=set)
    restarts: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    is_slow: bool = False
    started_at: int = field(default_factory=lambda: int(time.time()) + 60)

    def running(self, name: str) -> list[str]:
        """RELEASE.N of the copies of a process that run."""
        prefix = f"test-{name}@"
        return [
            unit.removeprefix(prefix).removesuffix(".service")
            for unit, state in sorted(self.states.items())
            if unit.startswith(prefix) and state == "active"
        ]

    def systemctl(self, verb: str, *rest: str) -> Completed:
        """Carry a command out."""
        units = [word for word in rest if not word.startswith("--")]
        if verb == "list-units":
            prefix = units[0].removesuffix("*.service")
            known = [(unit, state) for unit, state in self.states.items() if unit.startswith(prefix)]
            lines = [f"{unit} loaded {state} running A process" for unit, state in known]
            return Completed(0, "\n".join(lines), [])
        self.calls.append(" ".join((verb, *rest)))
        for unit in units:
            if verb == "stop" and "--no-block" in rest and self.is_slow:
                continue
            if verb == "stop":
                for known in [one for one in self.states if one.startswith(unit.removesuffix("*.service"))]:
                    self.states[known] = "deactivating"
                    if "--no-block" not in rest:  # systemd forgets what has ended
                        del self.states[known]
            else:
                self.states[unit] = "active"
                if unit.partition("@")[0] in self.dying:
                    self.restarts[unit] = 1
        return DONE

    def show(self, unit: str) -> dict[str, str]:
        """What systemd says of a unit."""
        restarts = self.restarts.get(unit, 0)
        return {
            "ActiveState": self.states.get(unit, "inactive"),
            "SubState": "auto-restart" if restarts else "running",
            "NRestarts": str(restarts),
            "Result": "exit-code" if restarts else "success",
            "ExecMainStatus": "1" if restarts else "0",
            "ExecMainStartTimestamp": f"@{self.started_at}",
            "NextElapseUSecRealtime": "Thu 2026-11-26 00:00:00 UTC",
        }


@pytest.fixture
def settings(directory: Path) -> dict[str, Any]:
    """An app with two processes and a timer."""
    return {**settings_in(directory), **SETTINGS, "unit_directory": str(directory / "units")}


@pytest.fixture
def units(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Units:
    """The units beside the web process, of which none runs yet."""
    units = Units()
    systemctl, show, journal = host.systemctl, host.show, host.journal

    def is_beside(arguments: tuple[str, ...]) -> bool:
        names = ("test-worker@", "test-beat@", "test-gone@", "test-digest.")
        return any(word.startswith(names) for word in arguments)

    monkeypatch.setattr(
        host,
        "systemctl",
        lambda *words, **more: units.systemctl(*words) if is_beside(words) else systemctl(*words, **more),
    )
    monkeypatch.setattr(
        host, "show", lambda unit, *keys: units.show(unit) if is_beside((unit,)) else show(unit, *keys)
    )
    said = {"test-worker": ["Started test-worker@", "ModuleNotFoundError: No module named 'absent'"]}
    monkeypatch.setattr(
        host, "journal", lambda unit, **times: said.get(unit.partition("@")[0]) or journal(unit, **times)
    )
    monkeypatch.setattr(processes, "_STAYS_SECONDS", 0.05)
    monkeypatch.setattr(processes, "_LOOK_EVERY_SECONDS", 0.01)
    host.configuration.unit_directory.mkdir()
    return units


def provide(host: FakeHost, release: str, *programs: str) -> None:
    """Put programs into a release's virtual environment."""
    directory = host.configuration.release_directory(release) / ".venv" / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    for program in programs or ("arq", "beat", "python"):
        (directory / program).touch(mode=0o755)


@pytest.fixture
def old(host: FakeHost, units: Units) -> Application:
    """A release that is live with all that runs beside it, and one that is prepared."""
    make_live(host, OLD)
    add_release(host.configuration, NEW)
    provide(host, OLD)
    provide(host, NEW)
    application = Application(host.configuration, host)
    processes.settle(application)
    application.state.begin(Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="prepared"))
    units.calls.clear()
    return application


def both(release: str) -> list[str]:
    """The two copies of the worker."""
    return [f"{release}.1", f"{release}.2"]


def test_new_copies_run_beside_the_old_ones_until_the_watch_has_ended(
    run: Run, old: Application, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of which only one may run replace each other."""
    meanwhile: list[list[str]] = []

    def watch(*_: object) -> str:
        meanwhile.extend([units.running("worker"), units.running("beat")])
        return ""

    monkeypatch.setattr(transaction, "watch", watch)
    assert run("activate", "--token", "t")[0] == ExitCode.SUCCESS
    assert meanwhile == [both(OLD) + both(NEW), [f"{NEW}.1"]]
    assert (units.running("worker"), units.running("beat")) == (both(NEW), [f"{NEW}.1"])
    assert units.calls[0] == f"stop test-beat@{OLD}.1.service"
    assert f"stop --no-block test-worker@{OLD}.1.service test-worker@{OLD}.2.service" in units.calls
    found = run("status")[1]
    assert (found["problem"], [one.get("process") for one in found["processes"]]) == (
        "",
        ["worker"] * 4 + ["beat", None],
    )


def test_a_process_that_does_not_stay_up_fails_the_deploy(run: Run, old: Application, units: Units) -> None:
    """What it said comes first; the old copies were never told to stop, and the one alone is back."""
    units.dying.add("test-worker")
    code, result = run("activate", "--token", "t")
    assert code == ExitCode.UNDONE
    said = "process worker does not stay up: ModuleNotFoundError: No module named 'absent' (test-worker@"
    assert said in result["message"]
    assert old.releases.live() == OLD
    assert (units.running("worker"), units.running("beat")) == (both(OLD), [f"{OLD}.1"])
    assert not any("stop" in call and f"test-worker@{OLD}" in call for call in units.calls)


def test_a_process_that_ends_while_it_is_watched_undoes_the_release(
    run: Run, old: Application, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a web worker does."""

    def watch(*_: object) -> str:
        units.restarts[f"test-worker@{NEW}.2.service"] = 1
        return processes.fault(old, NEW)

    monkeypatch.setattr(transaction, "watch", watch)
    assert run("activate", "--token", "t")[0] == ExitCode.SUCCESS
    assert old.releases.live() == OLD
    assert units.running("worker") == both(OLD)
    assert "No module named 'absent'" in run("log")[1]["attempts"][-1]["message"]


def test_a_first_release_stays_whatever_becomes_of_its_processes(
    run: Run, host: FakeHost, old: Application, units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is none to go back to, the site answers, and the status says what is wrong."""
    host.configuration.current.unlink()
    processes.settle(old)
    started = processes.start

    def start(application: Application, release: str) -> None:
        started(application, release)
        units.restarts[f"test-worker@{NEW}.2.service"] = 1

    monkeypatch.setattr(processes, "start", start)
    assert run("activate", "--token", "t")[0] == ExitCode.SUCCESS
    assert (old.releases.live(), units.running("worker")) == (NEW, both(NEW))
    assert run("status")[1]["problem"] == "process worker does not stay up: restarted 1 time(s)"
    units.started_at -= 200
    assert run("status")[1]["problem"] == ""


def test_a_copy_that_still_ends_keeps_its_number(old: Application, units: Units) -> None:
    """One that goes back to its release does not wait for its last job."""
    units.states[f"test-worker@{OLD}.1.service"] = "deactivating"
    processes.settle(old)
    assert units.running("worker") == [f"{OLD}.2", f"{OLD}.3"]


def test_a_command_that_a_release_lacks_is_named_before_it_goes_live(
    host: FakeHost, old: Application
) -> None:
    """With app, key and value."""
    (host.configuration.release_directory(NEW) / ".venv" / "bin" / "arq").unlink()
    with pytest.raises(ReleaseError) as caught:
        processes.check(old, NEW)
    assert "app test, key processes.worker.command: there is no command 'arq'" in caught.value.message
    processes.check(old, OLD)


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("User=test\nExecStart=/opt/venv/bin/arq shop.jobs --verbose\n", True),
        ("ExecStart=/usr/local/bin/farrier run test -- arq shop.jobs\n", True),
        ("User=other\nExecStart=/opt/venv/bin/arq shop.jobs\n", False),
        ("User=test\nExecStart=/opt/venv/bin/arq other.jobs\n", False),
    ],
    ids=["with its user", "by farrier run", "of another app", "another command"],
)
def test_a_unit_by_hand_for_the_same_command_is_named(
    run: Run, host: FakeHost, old: Application, units: Units, text: str, is_named: bool
) -> None:
    """Two would take each other's jobs; neither a deploy nor site.yml starts the second."""
    path = host.configuration.unit_directory / "jobs.service"
    path.write_text(f"[Service]\n{text}")
    before = dict(units.states)
    code, result = run("processes")
    assert (code == ExitCode.FAILED) is is_named
    if is_named:
        assert (
            "app test, key processes.worker: jobs.service, which is not the kit's, runs" in result["message"]
        )
        assert result["error"]["next_command"].startswith("systemctl disable --now jobs.service")
        assert units.states == before
        with pytest.raises(ReleaseError, match=r"jobs\.service"):
            processes.check(old, NEW)
    path.write_text(path.read_text() + UNIT.format("test"))
    assert run("processes")[0] == ExitCode.SUCCESS


def test_a_rollback_to_a_release_without_the_command_is_not_refused(
    host: FakeHost, old: Application, units: Units
) -> None:
    """The rest runs, and the status says what does not."""
    (host.configuration.release_directory(NEW) / ".venv" / "bin" / "arq").unlink()
    processes.start(old, NEW)
    assert (units.running("beat"), units.running("worker")) == ([f"{NEW}.1"], both(OLD))
    assert "process worker does not run" in processes.problem(old, NEW)


def test_after_a_boot_the_copies_of_the_live_release_start(run: Run, old: Application, units: Units) -> None:
    """No unit of theirs is enabled."""
    old.state.end()
    units.states.clear()
    assert run("recover")[0] == ExitCode.SUCCESS
    assert (units.running("worker"), units.running("beat")) == (both(OLD), [f"{OLD}.1"])
    assert units.states["test-digest.timer"] == "active"


def test_the_inventory_has_changed(run: Run, host: FakeHost, old: Application, units: Units) -> None:
    """What is no longer in it goes, with its units; what has another environment or unit starts anew."""
    old.state.end()
    directory = host.configuration.unit_directory
    (directory / "timers.target.wants").mkdir()
    for name, app in (
        ("test-worker@.service", "test"),
        ("test-gone@.service", "test"),
        ("test-gone-too.timer", "test"),
        ("test-other@.service", "test-other"),
    ):
        (directory / f"{name}.d").mkdir()
        (directory / name).write_text(UNIT.format(app))
    (directory / "timers.target.wants" / "test-gone-too.timer").symlink_to(directory / "test-gone-too.timer")
    units.states |= {f"test-gone@{OLD}.1.service": "active"}
    before = dict(units.states)
    assert run("processes", "--check")[1]["changed"]
    assert units.states == before
    assert (
        run("processes", "--remove")[1]["message"] == "remove test-gone@.service; remove test-gone-too.timer"
    )
    left = sorted(path.name for path in directory.iterdir() if path.is_file())
    assert left == ["test-other@.service", "test-worker@.service"]
    assert not list((directory / "timers.target.wants").iterdir())
    assert units.running("gone") == []
    units.restarts[f"test-beat@{OLD}.1.service"] = 1  # long ago
    del units.states[f"test-worker@{OLD}.2.service"]
    assert run("processes")[1]["message"] == f"start test-worker@{OLD}.2.service"
    units.states[f"test-worker@{OLD}.3.service"] = "active"
    assert run("processes")[1]["message"] == f"stop test-worker@{OLD}.3.service"
    assert run("processes")[1]["changed"] is False
    units.calls.clear()
    (host.configuration.release_directory(OLD) / ".venv" / "bin" / "arq").unlink()
    units.started_at -= 120
    assert run("processes")[1]["changed"] is False
    provide(host, OLD)
    units.is_slow = True
    units.dying.add("test-worker")
    code, result = run("processes")
    assert (code, "process worker does not stay up" in result["message"]) == (ExitCode.FAILED, True)
    assert units.calls == [
        f"stop --no-block test-worker@{OLD}.1.service test-worker@{OLD}.2.service",
        f"start test-worker@{OLD}.4.service test-worker@{OLD}.5.service",
    ]


def test_both_releases_keep_their_copies_while_the_new_one_is_watched(
    run: Run, old: Application, units: Units
) -> None:
    """A run of site.yml in these seconds ends no job."""
    watched = Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="watch", flip={"at": 1.0})
    old.state.begin(watched)
    processes.start(old, NEW)
    assert run("processes")[1]["changed"] is False
    assert units.running("worker") == both(OLD) + both(NEW)


def test_nothing_runs_where_nothing_is_live(host: FakeHost, old: Application, units: Units) -> None:
    """A first release that is undone leaves no worker behind."""
    host.configuration.current.unlink()
    processes.settle(old)
    assert (units.running("worker"), units.running("beat")) == ([], [])
    assert "test-digest.timer" not in units.states


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[str]:
    """A process that works in a release."""
    directory = tmp_path / "releases" / OLD / "source"
    directory.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"], cwd=directory) as process:
        yield OLD
        process.kill()


def test_a_release_in_which_a_process_works_is_in_use(tmp_path: Path, at_work: str) -> None:
    """A timer's long run outlives many deploys, and its files must."""
    assert working_in(tmp_path / "releases") == {at_work}
