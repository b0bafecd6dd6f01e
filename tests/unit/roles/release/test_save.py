"""What an app keeps is saved before a migration, and a way back to it is named by whoever may need it."""

from __future__ import annotations

import time

import pytest
from farrier_release.errors import ExitCode

from tests.unit.roles.release.conftest import Run
from tests.unit.roles.release.machine import FakeHost, with_settings
from tests.unit.roles.release.test_deploy import Deploy, deploy, nothing_has_happened

__all__ = ["deploy"]
SAVE, MIGRATION, REHEARSAL = "farrier-backup save test", "farrier-test-migrate: alembic", "start --no-block"
WAY_BACK = (
    "To restore what it kept before the migration: ansible-playbook farrier.kit.restore -e app=test -e at="
)


@pytest.fixture
def saving(deploy: Deploy) -> Deploy:
    """A deploy of an app that is saved before it migrates."""
    with_settings(deploy.host, migrate=["alembic"], backup_before_migrate=True)
    return deploy


def steps(host: FakeHost) -> list[str]:
    """In which order they were done."""
    return [step for call in host.calls for step in (SAVE, MIGRATION, REHEARSAL) if call.startswith(step)]


@pytest.mark.parametrize("comes_first", [False, True])
def test_it_is_saved_right_before_it_migrates(saving: Deploy, comes_first: bool) -> None:
    """And the moment is on record: what was written until then is not lost."""
    with_settings(saving.host, migrate_before_rehearsal=comes_first)
    began = time.time()
    assert saving.go_live("--migrate")[0] == ExitCode.SUCCESS
    pair = [SAVE, MIGRATION]
    assert steps(saving.host)[:3] == ([*pair, REHEARSAL] if comes_first else [REHEARSAL, *pair])
    attempt = saving.run("log")[1]["attempts"][-1]
    assert began < attempt["saved_at"] < time.time()
    assert "save" in attempt["seconds"]


def test_without_a_migration_nothing_is_saved(saving: Deploy) -> None:
    """On the other hosts of a fleet."""
    assert saving.go_live()[0] == ExitCode.SUCCESS
    assert SAVE not in saving.host.calls
    assert "saved_at" not in saving.run("log")[1]["attempts"][-1]


def test_the_first_release_has_nothing_to_save(
    run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backups are set up after it."""
    monkeypatch.setattr("farrier_release.interpreter.choose", lambda application, requires: "/python3")
    with_settings(host, migrate=["alembic"], backup_before_migrate=True)
    assert Deploy(run, host).prepare("--migrate")[0] == ExitCode.SUCCESS
    assert steps(host) == [MIGRATION, REHEARSAL]


def test_what_cannot_be_saved_is_not_migrated(saving: Deploy) -> None:
    """The operator is told why, and how to go on without."""
    saving.host.failing_tasks.add("farrier-backup")
    code, result = saving.prepare("--migrate")
    assert code == ExitCode.FAILED
    assert result["message"] == "test was not saved, so nothing was migrated."
    assert result["error"]["log"] == ["it is away"]
    assert "set backup_before_migrate to false" in result["error"]["next_command"]
    assert MIGRATION not in saving.host.calls
    nothing_has_happened(saving)


def test_a_host_without_backups_is_told_of_site(saving: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy brings the key, but not the tool."""

    def run(*_: object, **__: object) -> None:
        raise FileNotFoundError("farrier-backup")

    monkeypatch.setattr(saving.host, "run", run)
    code, result = saving.prepare("--migrate")
    assert code == ExitCode.FAILED
    assert result["error"]["next_command"].startswith("ansible-playbook farrier.kit.site")
    assert MIGRATION not in saving.host.calls


def test_a_migration_that_fails_names_the_way_back(saving: Deploy) -> None:
    """It may have done half of its work."""
    saving.host.failing_tasks.add("alembic")
    code, result = saving.prepare("--migrate")
    assert code == ExitCode.FAILED
    assert f"correct it and deploy again. {WAY_BACK}" in result["error"]["next_command"]


def test_a_rollback_names_the_way_back(saving: Deploy) -> None:
    """To before the migration of the release that it leaves; not to that of another one."""
    saving.go_live("--migrate")
    saved_at = saving.run("log")[1]["attempts"][-1]["saved_at"]
    code, result = saving.run("rollback")
    assert code == ExitCode.SUCCESS
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(saved_at))
    assert f"{WAY_BACK}{moment}" in result["message"]
    assert result["message"].endswith("+00:00")
    with_settings(saving.host, backup_before_migrate=False)
    assert "restore" not in saving.run("rollback", "--release", saving.release)[1]["message"]
