"""One deploy at a time; a dead one is recognised, a living one never pushed aside."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import Any

import pytest
from farrier_release import reconcile
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.state import Transaction
from farrier_release.storage import write_json

from tests.unit.roles.release.conftest import Run, add_release, make_live, request
from tests.unit.roles.release.machine import FakeHost, with_settings

OLD, NEW = "20260101T000000Z-v1", "20260102T000000Z-v2"


@pytest.fixture
def lease(application: Application) -> Transaction:
    """Somebody's deploy, that has come to its build."""
    transaction = Transaction(
        "secret", "deploy", "ann@desk", {"pid": 1}, "20260102T000000Z-v2", OLD, time.time(), phase="build"
    )
    application.state.begin(transaction)
    return transaction


def silent_for(application: Application, transaction: Transaction, seconds: float, **changes: Any) -> None:
    """Write it down as one that nobody has carried on for so long."""
    path = application.configuration.root / ".state.json"
    data = asdict(transaction) | {"renewed_at": transaction.renewed_at - seconds} | changes
    write_json(path, {"transaction": data})


def test_a_second_deploy_is_told_who_holds_the_lease(run: Run, host: FakeHost, lease: Transaction) -> None:
    """Who, what, since when, and how to clear it; nothing is changed."""
    make_live(host, OLD)
    code, result = run("begin", "--request", request())
    assert code == ExitCode.BUSY
    assert "ann@desk" in result["message"]
    assert lease.release in result["message"]
    assert "The lease lasts until 20" in result["message"]
    assert "ansible-playbook farrier.kit.unlock -e app=test" in result["error"]["next_command"]
    assert result["holder"] == {"id": lease.public_id(), "owner": {"pid": 1}, "who": "ann@desk"}
    assert "secret" not in str(result)
    assert host.live() == OLD


def test_a_holder_that_is_gone_is_taken_over(run: Run, host: FakeHost, lease: Transaction) -> None:
    """What it had begun is removed, its build is stopped, and the log says so."""
    make_live(host, OLD)
    add_release(host.configuration, lease.release)
    code, result = run("begin", "--request", request(), "--gone", lease.public_id())
    assert code == ExitCode.SUCCESS
    assert "Took over from a dead deploy" in result["message"]
    assert not host.configuration.release_directory(lease.release).exists()
    assert "stop farrier-test-build.service" in host.calls
    attempts = run("log")[1]["attempts"]
    assert [(one["result"], one["phase"], one["who"]) for one in attempts] == [
        ("abandoned", "build", "ann@desk")
    ]


def test_a_step_whose_process_was_killed_is_taken_over(
    run: Run, application: Application, lease: Transaction
) -> None:
    """Its holder may be alive: there is nothing any more that it could go on with."""
    lease.order = "order"
    application.state.renew(lease)
    with application.state.locked():
        assert run("begin", "--request", request())[0] == ExitCode.BUSY
    _, result = run("begin", "--request", request())
    assert "its process was killed" in result["message"]


def test_the_wrong_holder_is_not_taken_over(run: Run, lease: Transaction) -> None:
    """The dead one may have been replaced by a living one since the caller looked."""
    code, _ = run("begin", "--request", request(), "--gone", "123.4")
    assert code == ExitCode.BUSY


def test_a_long_silence_counts_as_death(run: Run, application: Application, lease: Transaction) -> None:
    """For a controller that nobody can look at."""
    silent_for(application, lease, 4000)
    code, result = run("begin", "--request", request())
    assert code == ExitCode.SUCCESS
    assert "nothing has happened for 67 minutes" in result["message"]


def test_the_lock_is_exclusive(application: Application, lease: Transaction) -> None:
    """Also among processes that do not know of each other; the error says what is running."""
    with (
        application.state.locked(),
        pytest.raises(ReleaseError, match="is running on this host") as caught,
        application.state.locked(),
    ):
        pass
    assert caught.value.exit_code == ExitCode.BUSY
    with application.state.locked():
        pass


def test_phases_need_the_token(run: Run, lease: Transaction) -> None:
    """A deploy that was taken over must not go on."""
    code, result = run("prepare", "--token", "another")
    assert code == ExitCode.USAGE
    assert "no longer holds the lease" in result["message"]


def test_a_host_keeps_its_lease_while_it_waits_for_its_turn(
    run: Run, application: Application, lease: Transaction
) -> None:
    """Batches before it may take longer than a deploy may be silent; once it has begun, they are over."""
    silent_for(application, lease, 7000, wait_seconds=4000.0, phase="begin")
    assert run("begin", "--request", request())[0] == ExitCode.BUSY
    silent_for(application, lease, 7000, wait_seconds=4000.0)
    assert run("begin", "--request", request())[0] == ExitCode.SUCCESS


def test_how_long_a_host_may_wait_is_asked_for(run: Run, application: Application) -> None:
    """By who knows how many batches come before it."""
    assert run("begin", "--request", request(wait_seconds=7200))[0] == ExitCode.SUCCESS
    lease = application.state.read()
    assert lease is not None
    assert lease.wait_seconds == 7200


def test_unlock_frees_an_app_whose_deploy_has_died(run: Run, host: FakeHost, lease: Transaction) -> None:
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
    run: Run, application: Application, lease: Transaction
) -> None:
    """On all hosts, before the first of them is unlocked."""
    code, result = run("unlock", "--check")
    assert (code, result["changed"]) == (ExitCode.SUCCESS, True)
    assert "would drop the lease of: deploy of 20260102T000000Z-v2 by ann@desk" in result["message"]
    assert application.state.read() == lease


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_unlock_refuses_while_a_phase_runs(
    run: Run, application: Application, host: FakeHost, lease: Transaction, options: list[str]
) -> None:
    """Then the deploy is alive, at least on this host; nothing is stopped, and the way to end it is named."""
    with application.state.locked():
        code, result = run("unlock", *options)
    assert code == ExitCode.BUSY
    assert "is running on this host. The lease is kept." in result["message"]
    assert result["error"]["next_command"].endswith("farrier.kit.unlock -e app=test -e force=true")
    assert application.state.read() == lease
    assert not [call for call in host.calls if call.startswith("stop")]


def test_unlock_by_force_ends_a_phase(
    run: Run, application: Application, host: FakeHost, lease: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build is stopped; what does not end then, as a migration, is never cut short."""
    monkeypatch.setattr(reconcile, "_LOCK_WAIT_SECONDS", 0.2)
    with application.state.locked():
        assert run("unlock", "--force")[0] == ExitCode.BUSY
    assert "stop farrier-test-build.service" in host.calls
    assert application.state.read() == lease
    assert run("unlock", "--force")[0] == ExitCode.SUCCESS


@pytest.mark.parametrize(
    "content", ["{", '{"transaction": {"release": 1}}', '{"transaction": [1]}', "[]", ""]
)
def test_a_broken_state_file_locks_nobody_out(application: Application, run: Run, content: str) -> None:
    """As after a full disk, or a hand that slipped."""
    path = application.configuration.root / ".state.json"
    path.write_text(content)
    assert application.state.read() is None
    assert run("begin", "--request", request())[0] == ExitCode.SUCCESS


def test_a_broken_state_file_does_not_keep_what_never_was_good(run: Run, host: FakeHost) -> None:
    """Nobody can read that its activation was under way; its manifest does not say that it was finished."""
    add_release(host.configuration, OLD, verified_at=1.0)
    make_live(host, NEW)
    host.server.status = 503
    (host.configuration.release_directory(NEW) / ".farrier.json").write_text("{}")
    (host.configuration.root / ".state.json").write_text("{")
    assert f"{OLD} is live again" in run("recover")[1]["message"]
    assert host.server.release == OLD


def test_keys_of_another_version_do_not_block_recovery(application: Application, lease: Transaction) -> None:
    """A newer tool may have written more."""
    silent_for(application, lease, 0, colour="green")
    assert application.state.read() == lease


def test_settings_of_another_version_do_not_block_recovery(run: Run, host: FakeHost) -> None:
    """site.yml of a newer kit was cut short between the settings and the tool: nothing new may begin."""
    make_live(host, OLD)
    path = host.configuration_directory / "test" / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "green"}))
    assert run("recover")[0] == ExitCode.SUCCESS
    assert run("status")[1]["live"] == OLD
    code, result = run("begin", "--request", request())
    assert (code, "unknown key 'colour'" in result["message"]) == (ExitCode.CONFIGURATION, True)


def test_a_state_file_of_a_newer_version_is_left_alone(run: Run, host: FakeHost) -> None:
    """Nobody here can tell what it means; the message says who can."""
    make_live(host, OLD)
    (host.configuration.root / ".state.json").write_text('{"format": 99, "transaction": {}}')
    code, result = run("begin", "--request", request())
    assert code == ExitCode.CONFIGURATION
    assert "newer version of Farrier" in result["message"]
    assert host.live() == OLD


def test_a_reboot_ends_a_lease(run: Run, application: Application, lease: Transaction) -> None:
    """Whoever held it, nothing of it runs any more; and no clock on the wall decides that."""
    silent_for(application, lease, 0, boot_id="another")
    _, result = run("begin", "--request", request())
    assert "the host was rebooted" in result["message"]


def test_the_lease_of_version_0_1_is_kept_and_taken_over(
    run: Run, application: Application, host: FakeHost, lease: Transaction
) -> None:
    """It lies elsewhere and has a time on the wall."""
    make_live(host, OLD)
    (application.configuration.root / ".state.json").unlink()
    old = {key: value for key, value in asdict(lease).items() if key not in ("boot_id", "order", "flip")}
    path = application.configuration.lock_directory / "test.lease.json"
    write_json(path, {**old, "renewed_at": time.time() - 60})
    assert run("begin", "--request", request())[0] == ExitCode.BUSY
    assert run("begin", "--request", request(), "--gone", lease.public_id())[0] == ExitCode.SUCCESS
    assert not path.exists()


def test_the_bound_is_a_setting(host: FakeHost, lease: Transaction) -> None:
    """For sites with very long builds."""
    configuration = with_settings(host, lease_stale_seconds=10_000)
    application = Application(configuration, host)
    silent = replace(lease, renewed_at=lease.renewed_at - 4000)
    assert application.state.stale_reason(silent, "") is None
