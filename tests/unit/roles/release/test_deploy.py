"""A deploy from its first phase to its last, and every way in which it can fail before anything goes live."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from farrier_release import storage
from farrier_release.errors import ExitCode
from farrier_release.host import Completed, Sandboxed
from farrier_release.state import StateFile

from tests.unit.roles.release.conftest import SHA, Run, add_release, make_live, request
from tests.unit.roles.release.machine import PYTHON, Behaviour, FakeHost, with_settings

OLD = "20260101T000000Z-v1"
REPORT: dict[str, Any] = {
    "error": "",
    "log": [],
    "python_version": PYTHON["version"],
    "python_executable": PYTHON["executable"],
    "packages": {"gunicorn": "27.0.1", "uvicorn": "0.54.0", "uvicorn-worker": "0.4.0"},
    "server_packages": [],
    "seconds": {},
}


class Deploy:
    """A deploy under way."""

    def __init__(self, run: Run, host: FakeHost, **changes: Any) -> None:
        content = changes.get("version", "archive").encode()
        changes["archive_sha256"] = hashlib.sha256(content).hexdigest()
        _, begun = run("begin", "--request", request(**changes))
        self.run, self.host, self.token, self.release = run, host, begun["token"], begun["release"]
        self.archive = Path(begun["upload_to"])
        self.archive.write_bytes(content)
        host.build_report = dict(REPORT)

    def order(self, name: str, *options: str) -> tuple[int, dict[str, Any]]:
        """Have the transaction go on."""
        return self.run(name, "--token", self.token, *options)

    def prepare(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Build, rehearse, and with `--migrate` migrate."""
        return self.order("prepare", *options)

    def go_live(self, *options: str) -> tuple[int, dict[str, Any]]:
        """Prepare the release and make it live."""
        prepared = self.prepare(*options)
        return prepared if prepared[0] else self.order("activate")


@pytest.fixture
def deploy(run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """One that has begun, while an older release serves."""
    monkeypatch.setattr(
        "farrier_release.interpreter.choose", lambda application, requires: "/usr/bin/python3"
    )
    make_live(host, OLD)
    return Deploy(run, host)


def nothing_has_happened(deploy: Deploy) -> None:
    """The old release serves, nothing is left of the new one, and the next deploy may begin."""
    assert deploy.host.live() == OLD
    assert deploy.host.server.release == OLD
    assert not deploy.host.configuration.release_directory(deploy.release).exists()
    status = deploy.run("status")[1]
    assert status["problem"] == ""
    assert status["lease"] is None
    assert status["attempts"][-1]["to"] == deploy.release
    assert status["attempts"][-1]["result"] == "failed"
    assert deploy.run("begin", "--request", request())[0] == ExitCode.SUCCESS


def test_a_good_release_goes_live(deploy: Deploy, run: Run) -> None:
    """Reloaded, because nothing asks for more; logged; and the old one is the one to go back to."""
    with_settings(deploy.host, migrate=["migrate it"])
    code, result = deploy.go_live("--migrate")
    assert code == ExitCode.SUCCESS
    assert (result["how"], result["phase"]) == ("reload", "activate")
    status = run("status")[1]
    assert (status["live"], status["previous"], status["problem"]) == (deploy.release, OLD, "")
    assert (status["by"], status["version"], status["lease"]) == ("somebody", "v2", None)
    attempt = status["attempts"][-1]
    assert (attempt["result"], attempt["from"], attempt["to"], attempt["how"]) == (
        "live",
        OLD,
        deploy.release,
        "reload",
    )
    assert list(attempt["seconds"]) == ["fetch", "begin", "build", "rehearse", "migrate", "activate"]
    assert re.search(r"build \d+\.\d s, rehearse", result["message"])
    assert "farrier-test-migrate: it" in deploy.host.calls
    assert deploy.host.rehearsal._socket is None


def test_a_release_is_prepared_although_nothing_is_migrated(deploy: Deploy) -> None:
    """Other hosts are offered a release that the task has changed something for."""
    code, result = deploy.prepare("--migrate")
    assert (code, result["changed"]) == (ExitCode.SUCCESS, True)


def test_phases_come_in_their_order(deploy: Deploy) -> None:
    """A release that was not rehearsed cannot go live, and one that was is not built again."""
    code, result = deploy.order("activate")
    assert code == ExitCode.USAGE
    assert "activate comes after prepared" in result["message"]
    deploy.prepare()
    assert deploy.prepare()[0] == ExitCode.USAGE
    assert deploy.host.live() == OLD


def test_a_list_that_names_a_part_is_completed_as_before(
    run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second build of the same list is told what the first one has installed."""
    monkeypatch.setattr("farrier_release.interpreter.choose", lambda application, requires: "python3")
    monkeypatch.setattr("farrier_release.interpreter.describe", lambda interpreter: PYTHON)
    make_live(host, OLD)
    orders = []
    real = host.run_sandboxed

    def noted(task: Sandboxed) -> Completed:
        orders.extend([json.loads(task.stdin or "")] if task.unit.endswith("-build") else [])
        return real(task)

    monkeypatch.setattr(host, "run_sandboxed", noted)
    releases = []
    for version in ("v2", "v3"):
        deploy = Deploy(run, host, version=version, project={"lock": {"sha256": "of the list"}})
        assert deploy.go_live()[0] == ExitCode.SUCCESS
        releases.append(deploy.release)
    assert [order["completed_by"] for order in orders] == ["", releases[0]]
    assert [order["constraints"] for order in orders] == [{}, REPORT["packages"]]


def test_a_build_that_fails(deploy: Deploy) -> None:
    """The phase, the reason and uv's own words."""
    deploy.host.build_report = {**REPORT, "error": "uv sync failed.", "log": ["no such package"]}
    code, result = deploy.prepare()
    assert code == ExitCode.FAILED
    assert "uv sync failed" in result["message"]
    assert result["error"]["log"] == ["no such package"]
    assert (result["live"], result["live_problem"]) == (OLD, "")
    nothing_has_happened(deploy)


def test_a_disk_that_fills_up_while_building(deploy: Deploy) -> None:
    """The next command is about the disk, not about the source."""
    deploy.host.build_report = {**REPORT, "error": "unpack: [Errno 28] No space left on device: 'x'"}
    _, result = deploy.prepare()
    assert "No space left" in result["message"]
    next_command = result["error"]["next_command"]
    assert "df -h" in next_command
    assert f"du -sh {deploy.host.configuration.root}/*" in next_command
    nothing_has_happened(deploy)


def test_a_disk_that_fills_up_under_the_tool_itself(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest cannot be written: no traceback, and nothing stays behind."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("farrier_release.releases.Releases.write_manifest", full)
    code, result = deploy.prepare()
    assert code == ExitCode.FAILED
    assert "No space left" in result["message"]
    nothing_has_happened(deploy)


def test_a_disk_that_is_full_until_the_release_is_gone(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the state can be written then; what broke is said all the same."""
    write = StateFile._write

    def full(state: StateFile, *arguments: Any) -> None:
        if (
            deploy.host.configuration.release_directory(deploy.release).exists()
            and deploy.host.phase() == "build"
        ):
            raise OSError(28, "No space left on device")
        write(state, *arguments)

    monkeypatch.setattr(StateFile, "_write", full)
    deploy.host.build_report = {**REPORT, "error": "unpack: [Errno 28] No space left on device: 'x'"}
    code, result = deploy.prepare()
    assert code == ExitCode.FAILED
    assert "No space left" in result["message"]
    nothing_has_happened(deploy)


def test_a_build_that_is_killed(deploy: Deploy) -> None:
    """By the time limit, or by the kernel for its memory: there is no report."""
    deploy.host.build_report = None
    _, result = deploy.prepare()
    assert "stopped before it finished" in result["message"]
    nothing_has_happened(deploy)


def test_an_archive_that_did_not_arrive_whole(deploy: Deploy) -> None:
    """Nothing is built from it."""
    deploy.archive.write_bytes(b"half")
    code, result = deploy.prepare()
    assert code == ExitCode.USAGE
    assert "was damaged in transit" in result["message"]
    nothing_has_happened(deploy)


def test_an_archive_that_did_not_arrive(deploy: Deploy) -> None:
    """As after a copy that failed."""
    deploy.archive.unlink()
    assert "did not arrive" in deploy.prepare()[1]["message"]
    nothing_has_happened(deploy)


def test_server_packages_that_the_worker_was_not_tested_with(deploy: Deploy) -> None:
    """Known before a single request is lost to them."""
    deploy.host.build_report = {**REPORT, "packages": {**REPORT["packages"], "uvicorn": "0.20.0"}}
    _, result = deploy.prepare()
    assert "uvicorn 0.20.0" in result["message"]
    assert "worker_class: stock" in result["error"]["next_command"]
    nothing_has_happened(deploy)


def test_server_packages_that_the_build_has_refused(deploy: Deploy) -> None:
    """The fix is not one of the source."""
    deploy.host.build_report = {**REPORT, "error": "its lock …", "unsupported_server": "uvicorn 0.20.0 …"}
    _, result = deploy.prepare()
    assert "farrier.kit.site before the deploy" in result["error"]["next_command"]
    nothing_has_happened(deploy)


def test_the_stock_worker_takes_any_server(deploy: Deploy) -> None:
    """It is the way out."""
    deploy.host.configuration.gunicorn_settings.write_text('{"worker_class": "stock"}')
    deploy.host.build_report = {**REPORT, "packages": {"uvicorn": "0.20.0"}}
    assert deploy.prepare()[0] == ExitCode.SUCCESS


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (Behaviour(boots=False), "No module named 'absent'"),
        (Behaviour(boots=False, error="SyntaxError: invalid syntax"), "SyntaxError"),
        (Behaviour(boots=False, error="RuntimeError: in the start-up handler"), "start-up handler"),
        (Behaviour(hangs=True), "did not answer within 1 s"),
        (Behaviour(claims="20260101T000000Z-v1"), "X-Release 20260101T000000Z-v1"),
    ],
    ids=["does not import", "syntax error", "start-up raises", "hangs", "wrong id"],
)
def test_a_release_that_does_not_live(deploy: Deploy, behaviour: Behaviour, message: str) -> None:
    """It never gets the symlink; the message has the application's own error and lines."""
    deploy.host.behaviours[deploy.release] = behaviour
    code, result = deploy.prepare()
    assert code == ExitCode.FAILED
    assert message in result["message"]
    assert result["error"]["log"] == [f"a line of test-rehearsal@{deploy.release}.service"]
    assert deploy.host.rehearsal._socket is None
    nothing_has_happened(deploy)


def test_a_release_is_on_disk_before_it_counts(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut in between it is known as incomplete: it has no manifest."""
    counted: list[bool] = []
    sync = storage.sync_file_system

    def note(path: Path) -> None:
        counted.append(
            deploy.host.configuration.release_directory(deploy.release).joinpath(".farrier.json").exists()
        )
        sync(path)

    monkeypatch.setattr("farrier_release.build.sync_file_system", note)
    assert deploy.prepare()[0] == ExitCode.SUCCESS
    assert counted == [False]


def test_releases_of_an_earlier_version_of_the_tool_are_sealed(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the build user's, and the live one shares its files with uv's cache."""
    sealed: list[str] = []
    monkeypatch.setattr("farrier_release.build.is_sealed", lambda path: False)
    monkeypatch.setattr("farrier_release.build.seal", lambda *directories: sealed.append(directories[0]))
    live = deploy.host.configuration.release_directory(OLD)
    (live / ".venv").mkdir()
    assert deploy.prepare()[0] == ExitCode.SUCCESS
    assert sealed == [str(live), str(deploy.host.configuration.release_directory(deploy.release))]


@pytest.mark.parametrize(("boot_id", "kept"), [("of another boot", False), ("", True)])
def test_a_cache_after_a_power_cut(deploy: Deploy, boot_id: str, kept: bool) -> None:
    """What a build was writing when the power failed may be empty; a kill loses nothing."""
    settings = deploy.host.configuration
    boot_id = boot_id or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (settings.root / ".cache-in-use.json").write_text(json.dumps({"boot_id": boot_id}))
    (settings.cache_directory / "archive-v0").mkdir(parents=True)
    (settings.cache_directory / "archive-v0" / "a.py").touch()
    assert deploy.prepare()[0] == ExitCode.SUCCESS
    assert (settings.cache_directory / "archive-v0").exists() is kept
    assert not (settings.root / ".cache-in-use.json").exists()


def test_a_disk_that_fails_at_the_last_moment(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written does not count as built."""

    def fails(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("farrier_release.build.sync_file_system", fails)
    code, result = deploy.prepare()
    assert (code, "Input/output error" in result["message"]) == (ExitCode.FAILED, True)
    nothing_has_happened(deploy)


def test_what_a_health_path_says_of_releases_is_its_own(deploy: Deploy) -> None:
    """Only the header counts: a key `release` may be that of the database's schema."""
    deploy.host.behaviours[deploy.release] = Behaviour(body='{"release": "another"}')
    assert deploy.go_live()[0] == ExitCode.SUCCESS


def test_a_health_path_that_fails(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may say "not yet" for a moment, but not for long."""
    monkeypatch.setattr("farrier_release.rehearse._WRONG_ANSWER_PATIENCE_SECONDS", 0.2)
    deploy.host.behaviours[deploy.release] = Behaviour(status=500)
    _, result = deploy.prepare()
    assert "/healthz answered 500" in result["message"]
    nothing_has_happened(deploy)


def test_a_health_path_that_answers_with_another_status(deploy: Deploy) -> None:
    """A first-install page or a login is the sign of life of some apps."""
    deploy.host.behaviours[deploy.release] = Behaviour(status=302)
    deploy.host.behaviours[OLD] = Behaviour(status=302)
    with_settings(deploy.host, health_status=302)
    code, result = deploy.go_live()
    assert code == ExitCode.SUCCESS, result


def test_a_rehearsal_that_systemd_starts_late(deploy: Deploy) -> None:
    """A unit that waits for its start is inactive too, and not dead."""
    deploy.host.behaviours[deploy.release] = Behaviour(queued_looks=1)
    assert deploy.prepare()[0] == ExitCode.SUCCESS


@pytest.mark.parametrize(
    ("result", "status", "message"),
    [
        ("success", "0", "it ended by itself with exit code 0 before it served."),
        ("exit-code", "3", "it ended with exit code 3 before it served."),
        ("signal", "31", "it was killed by SIGSYS before it served."),
        ("core-dump", "63", "it was killed by signal 63 before it served."),
        ("oom-kill", "9", "the kernel killed it for lack of memory before it served."),
        ("start-limit-hit", "", "systemd ended it (start-limit-hit) before it served."),
    ],
)
def test_a_rehearsal_that_ends(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, result: str, status: str, message: str
) -> None:
    """What systemd calls a success, an exit without an error, is a failure here."""
    state = {"ActiveState": "inactive", "Job": "", "Result": result, "NRestarts": "0"}
    state["ExecMainStatus"] = status
    monkeypatch.setattr(deploy.host, "_show_rehearsal", lambda: state)
    deploy.host.behaviours[deploy.release] = Behaviour(hangs=True)
    code, answer = deploy.prepare()
    assert code == ExitCode.FAILED
    assert message in answer["message"]
    nothing_has_happened(deploy)


def test_a_rehearsal_begins_when_no_other_is_left(deploy: Deploy) -> None:
    """They share a directory, which systemd removes at the end of each."""
    deploy.prepare()
    stop = deploy.host.calls.index("stop test-rehearsal@*.service")
    assert deploy.host.calls[stop + 1] == f"start --no-block test-rehearsal@{deploy.release}.service"


def test_a_release_that_dies_a_little_later(deploy: Deploy) -> None:
    """It is left running after the rehearsal, and looked at again before the symlink moves."""
    with_settings(deploy.host, rehearsal_seconds=0.1)
    deploy.host.behaviours[deploy.release] = Behaviour(rehearsal_dies=True)
    code, result = deploy.go_live()
    assert code == ExitCode.FAILED
    assert "its worker died and was replaced" in result["message"]
    nothing_has_happened(deploy)


def steps(calls: list[str]) -> list[str]:
    """The migration and the rehearsal among what a host was asked for."""
    return [call for call in calls if "-migrate:" in call or call.startswith("start --no-block test-rehear")]


@pytest.mark.parametrize("comes_first", [False, True])
def test_a_migration_comes_after_the_rehearsal_unless_it_is_asked_for_before(
    deploy: Deploy, comes_first: bool
) -> None:
    """A release that does not start has touched no database; but one may need the new schema to start."""
    with_settings(deploy.host, migrate=["alembic"], migrate_before_rehearsal=comes_first)
    assert deploy.prepare("--migrate")[0] == ExitCode.SUCCESS
    migration, rehearsal = "farrier-test-migrate: alembic", f"start --no-block {rehearsal_unit(deploy)}"
    expected = [migration, rehearsal] if comes_first else [rehearsal, migration]
    assert steps(deploy.host.calls) == expected
    assert deploy.order("activate")[0] == ExitCode.SUCCESS


def rehearsal_unit(deploy: Deploy) -> str:
    return deploy.host.configuration.rehearsal_unit_of(deploy.release)


def test_the_first_release_migrates_before_its_rehearsal(
    run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing yet that the schema could break, and a start-up may read what the migration makes."""
    monkeypatch.setattr("farrier_release.interpreter.choose", lambda application, requires: "/python3")
    deploy = Deploy(run, host)
    with_settings(host, migrate=["alembic"])
    assert deploy.prepare("--migrate")[0] == ExitCode.SUCCESS
    assert steps(host.calls)[0] == "farrier-test-migrate: alembic"


def test_a_migration_that_fails(deploy: Deploy) -> None:
    """The rest is not run, the old release stays live, and the output is there."""
    with_settings(deploy.host, migrate=["alembic upgrade head", "seed it"])
    deploy.host.failing_tasks.add("alembic")
    deploy.host.task_output = "table exists"
    code, result = deploy.prepare("--migrate")
    assert code == ExitCode.FAILED
    assert "'alembic upgrade head' failed with exit code 1" in result["message"]
    assert result["error"]["log"] == ["table exists"]
    assert "farrier-test-migrate: it" not in deploy.host.calls
    nothing_has_happened(deploy)


def test_a_hook_before_the_activation_that_fails(deploy: Deploy) -> None:
    """Nothing has moved yet."""
    with_settings(deploy.host, hooks={"before_activate": ["warm"]})
    deploy.host.failing_tasks.add("warm")
    code, result = deploy.go_live()
    assert code == ExitCode.FAILED
    assert "before_activate: 'warm'" in result["message"]
    nothing_has_happened(deploy)


def test_a_controller_that_gives_up(deploy: Deploy) -> None:
    """As when another host of the fleet failed."""
    deploy.prepare()
    assert deploy.order("abort")[1]["changed"] is True
    nothing_has_happened(deploy)
    assert deploy.order("abort")[1] | {"seconds": 0} == {
        "phase": "abort",
        "changed": False,
        "message": "This deploy has already ended.",
        "seconds": 0,
    }


def test_old_releases_go_but_never_what_is_needed(deploy: Deploy, run: Run) -> None:
    """Not the live one, not the one before it, not the one the server was started in, whatever their age."""
    configuration = with_settings(deploy.host, keep_releases=2)
    for number in range(3):
        add_release(configuration, f"2026010{number + 2}T000000Z-between", verified_at=1.0, package="shop")
    deploy.go_live()
    left = sorted(path.name for path in configuration.releases_directory.iterdir())
    assert left == [OLD, "20260104T000000Z-between", deploy.release]
    assert deploy.host.calls.count("farrier-test-cache: farrier_release.cache") == 1
    assert run("finish")[1]["removed"] == []


def test_finish_leaves_a_deploy_alone_that_has_begun_meanwhile(deploy: Deploy, run: Run) -> None:
    """It will prune when it is done."""
    assert run("finish")[1]["removed"] == []
    assert run("status")[1]["lease"] is not None


def test_an_archive_that_nobody_builds_from_goes(run: Run, host: FakeHost) -> None:
    """The deploy of a host alone brings it before the host has agreed. It stays where that may change."""
    make_live(host, OLD)
    archive = host.configuration.incoming_directory / f"{SHA}.tar.gz"
    archive.touch()
    with_settings(host, free_disk_min_mb=1 << 40)
    assert run("deploy", "--request", request())[0] == ExitCode.FAILED
    assert not archive.exists()
    with_settings(host, free_disk_min_mb=0)
    assert run("begin", "--request", request(archive_sha256="b" * 64))[0] == ExitCode.SUCCESS
    archive.touch()
    assert run("deploy", "--request", request())[0] == ExitCode.BUSY
    assert archive.exists()
