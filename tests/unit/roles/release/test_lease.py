"""One deploy at a time; a dead one is recognised, a living one never pushed aside."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from farrier_release import takeover
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.lease import Lease, public_id
from farrier_release.storage import write_json

from tests.unit.roles.release.conftest import Run, add_release, make_live, request
from tests.unit.roles.release.machine import FakeHost, with_settings

OLD = "20260101T000000Z-v1"


@pytest.fixture
def lease(application: Application) -> Lease:
    """Somebody's deploy, that has come to its build."""
    now = time.time()
    lease = Lease(
        "secret", "deploy", "ann@desk", {"pid": 1}, "20260102T000000Z-v2", OLD, now, now, phase="build"
    )
    (application.configuration.lock_directory).mkdir(exist_ok=True)
    application.lease_file.take(lease)
    return lease


def test_a_second_deploy_is_told_who_holds_the_lease(run: Run, host: FakeHost, lease: Lease) -> None:
    """Who, what, since when, and how to clear it; nothing is changed."""
    make_live(host, OLD)
    code, result = run("begin", "--request", request())
    assert code == ExitCode.BUSY
    assert "ann@desk" in result["message"]
    assert lease.release in result["message"]
    assert "The lease lasts until 20" in result["message"]
    assert "ansible-playbook farrier.kit.unlock -e app=test" in result["error"]["next_command"]
    assert result["holder"] == {"id": public_id(lease), "owner": {"pid": 1}, "who": "ann@desk"}
    assert "secret" not in str(result)
    assert host.live() == OLD


def test_a_holder_that_is_gone_is_taken_over(run: Run, host: FakeHost, lease: Lease) -> None:
    """What it had begun is removed, its build is stopped, and the log says so."""
    make_live(host, OLD)
    add_release(host.configuration, lease.release)
    code, result = run("begin", "--request", request(), "--gone", public_id(lease))
    assert code == ExitCode.SUCCESS
    assert "Took over from a dead deploy" in result["message"]
    assert not host.configuration.release_directory(lease.release).exists()
    assert "stop farrier-test-build.service" in host.calls
    attempts = run("log")[1]["attempts"]
    assert [(one["result"], one["phase"], one["who"]) for one in attempts] == [
        ("abandoned", "build", "ann@desk")
    ]


def test_the_wrong_holder_is_not_taken_over(run: Run, lease: Lease) -> None:
    """The dead one may have been replaced by a living one since the caller looked."""
    code, _ = run("begin", "--request", request(), "--gone", "123.4")
    assert code == ExitCode.BUSY


def test_a_long_silence_counts_as_death(run: Run, application: Application, lease: Lease) -> None:
    """For a controller that nobody can look at."""
    path = application.configuration.lock_directory / "test.lease.json"
    write_json(path, {**vars(lease), "renewed_at": time.time() - 4000})
    code, result = run("begin", "--request", request())
    assert code == ExitCode.SUCCESS
    assert "nothing has happened for 67 minutes" in result["message"]


def test_the_lock_is_exclusive(application: Application, lease: Lease) -> None:
    """Also among processes that do not know of each other; the error says what is running."""
    with (
        application.lease_file.locked(),
        pytest.raises(ReleaseError, match="is running on this host") as caught,
        application.lease_file.locked(),
    ):
        pass
    assert caught.value.exit_code == ExitCode.BUSY
    with application.lease_file.locked():
        pass


def test_phases_need_the_token(run: Run, lease: Lease) -> None:
    """A deploy that was taken over must not go on."""
    code, result = run("build", "--token", "another")
    assert code == ExitCode.USAGE
    assert "no longer holds the lease" in result["message"]


def test_a_host_keeps_its_lease_while_it_waits_for_its_turn(
    run: Run, application: Application, lease: Lease
) -> None:
    """Batches before it may take longer than a deploy may be silent; once it has begun, they are over."""
    path = application.configuration.lock_directory / "test.lease.json"
    silent = {**vars(lease), "renewed_at": time.time() - 7000, "wait_seconds": 4000.0}
    write_json(path, {**silent, "phase": "begin"})
    assert run("begin", "--request", request())[0] == ExitCode.BUSY
    write_json(path, {**silent, "phase": "build"})
    assert run("begin", "--request", request())[0] == ExitCode.SUCCESS


def test_how_long_a_host_may_wait_is_asked_for(run: Run, application: Application) -> None:
    """By who knows how many batches come before it."""
    assert run("begin", "--request", request(wait_seconds=7200))[0] == ExitCode.SUCCESS
    lease = application.lease_file.read()
    assert lease is not None
    assert lease.wait_seconds == 7200


def test_unlock_frees_an_app_whose_deploy_has_died(run: Run, host: FakeHost, lease: Lease) -> None:
    """Its controller is gone and was of another machine: nothing runs here, and what is left is removed."""
    make_live(host, OLD)
    add_release(host.configuration, lease.release)
    code, result = run("unlock")
    assert code == ExitCode.SUCCESS
    assert "ann@desk" in result["message"]
    assert not host.configuration.release_directory(lease.release).exists()
    assert host.live() == OLD
    attempts = run("log")[1]["attempts"]
    assert [(one["result"], one["message"]) for one in attempts] == [("abandoned", "unlocked by hand")]
    assert run("unlock")[1]["message"] == "Nobody holds the lease."


def test_unlock_in_check_mode_only_says_whose_lease_it_is(
    run: Run, application: Application, lease: Lease
) -> None:
    """On all hosts, before the first of them is unlocked."""
    code, result = run("unlock", "--check")
    assert (code, result["changed"]) == (ExitCode.SUCCESS, True)
    assert "would drop the lease of: deploy of 20260102T000000Z-v2 by ann@desk" in result["message"]
    assert application.lease_file.read() == lease


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_unlock_refuses_while_a_phase_runs(
    run: Run, application: Application, host: FakeHost, lease: Lease, options: list[str]
) -> None:
    """Then the deploy is alive, at least on this host; nothing is stopped, and the way to end it is named."""
    with application.lease_file.locked():
        code, result = run("unlock", *options)
    assert code == ExitCode.BUSY
    assert "is running on this host. The lease is kept." in result["message"]
    assert result["error"]["next_command"].endswith("farrier.kit.unlock -e app=test -e force=true")
    assert application.lease_file.read() == lease
    assert not [call for call in host.calls if call.startswith("stop")]


def test_unlock_by_force_ends_a_phase(
    run: Run, application: Application, host: FakeHost, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build is stopped; what does not end then, as a migration, is never cut short."""
    monkeypatch.setattr(takeover, "_LOCK_WAIT_SECONDS", 0.2)
    with application.lease_file.locked():
        assert run("unlock", "--force")[0] == ExitCode.BUSY
    assert "stop farrier-test-build.service" in host.calls
    assert application.lease_file.read() == lease
    assert run("unlock", "--force")[0] == ExitCode.SUCCESS


def test_a_broken_lease_file_locks_nobody_out(application: Application, host: FakeHost) -> None:
    """As after a full disk."""
    path = application.configuration.lock_directory / "test.lease.json"
    path.write_text("{")
    assert application.lease_file.read() is None
    path.write_text('{"unknown": 1}')
    assert application.lease_file.read() is None


def test_the_bound_is_a_setting(host: FakeHost, lease: Lease) -> None:
    """For sites with very long builds."""
    configuration = with_settings(host, lease_stale_seconds=10_000)
    application = Application(configuration, host)
    silent = replace(lease, renewed_at=time.time() - 4000)
    assert application.lease_file.stale_reason(silent, "") is None
