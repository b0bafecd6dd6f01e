"""What a deploy brings of the inventory is in force for its release, and is as it was when that fails."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from farrier_release import changed_settings
from farrier_release.errors import ExitCode

from tests.unit.roles.release.conftest import Run, make_live, request
from tests.unit.roles.release.machine import Behaviour, FakeHost, KilledError, with_settings
from tests.unit.roles.release.test_deploy import OLD, Deploy

HERE = {"env": "d1", "secrets": "s1", "migrate": [], "max_requests": 0, "python": None}
THERE = {**HERE, "env": "d2", "migrate": ["up"], "max_requests": 1000}
OLD_ENVIRONMENT = {"LEVEL": "info", "PASSWORD": "old-password"}
SENT: dict[str, Any] = {
    "environment": {"LEVEL": "debug", "PASSWORD": "new-password"},
    "gunicorn": {"max_requests": 1000, "max_requests_jitter": 100, "threads": 8, "worker_memory_max_mb": 0},
    "release": {"migrate": ["up"], "health_path": "/ready", "hook_environment": {"LEVEL": "debug"}},
}


def as_site_writes(data: object) -> str:
    """What Ansible's `to_nice_json` makes of it."""
    return json.dumps(data, indent=4, sort_keys=True) + "\n"


class Settings:
    """The files of the application that its processes read."""

    def __init__(self, host: FakeHost) -> None:
        self.directory = host.configuration.gunicorn_settings.parent
        with_settings(host, inventory=HERE)
        self.path("environment").write_text(as_site_writes(OLD_ENVIRONMENT))
        self.path("environment").chmod(0o640)
        self.path("gunicorn").write_text(as_site_writes({"max_requests": 0, "workers": 2}))
        self.before = self.now()

    def path(self, name: str) -> Path:
        """Of a file that `site.yml` writes."""
        return self.directory / f"{name}.json"

    def now(self) -> dict[str, str]:
        """All files but the way back, by name."""
        return {
            path.name: path.read_text() for path in self.directory.glob("*.json") if path.stem != "former"
        }


@pytest.fixture
def files(host: FakeHost) -> Settings:
    """As `site.yml` has left them."""
    return Settings(host)


@pytest.fixture
def deploy(run: Run, host: FakeHost, files: Settings, monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """One that brings changed settings, and has begun while an older release serves."""
    monkeypatch.setattr(
        "farrier_release.interpreter.choose", lambda application, requires: "/usr/bin/python3"
    )
    make_live(host, OLD)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(SENT) + "\n"))
    return Deploy(run, host, inventory=THERE, settings="stdin")


def test_they_go_live_with_the_release(deploy: Deploy, host: FakeHost, files: Settings) -> None:
    """As `site.yml` would have written them, so that it has nothing to change."""
    own = files.directory / f"environment.{deploy.release}.json"
    assert json.loads(own.read_text()) == SENT["environment"]
    assert own.stat().st_mode & 0o777 == 0o640
    code, result = deploy.go_live("--migrate")
    assert code == ExitCode.SUCCESS
    assert "is live with changed env, max_requests, migrate (" in result["message"]
    assert "farrier-test-migrate: up" in host.calls
    now = files.now()
    assert sorted(now) == ["environment.json", "gunicorn.json", "release.json"]
    assert now["environment.json"] == as_site_writes(SENT["environment"])
    assert now["gunicorn.json"] == as_site_writes({"workers": 2, **SENT["gunicorn"]})
    release = json.loads(now["release.json"])
    assert (release["inventory"], release["migrate"], release["health_path"]) == (THERE, ["up"], "/ready")
    assert now["release.json"] == as_site_writes(release)


def test_what_leads_to_a_database_stays(
    run: Run, host: FakeHost, files: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of `site.yml` alone, which knows the password. Build hooks see what has none."""
    url = "postgresql://shop:password@10.0.0.9/shop"
    with_settings(host, needs_environment={"DATABASE_URL": "postgresql://shop@10.0.0.9/shop"})
    files.path("environment").write_text(as_site_writes({**OLD_ENVIRONMENT, "DATABASE_URL": url}))
    monkeypatch.setattr(
        "farrier_release.interpreter.choose", lambda application, requires: "/usr/bin/python3"
    )
    make_live(host, OLD)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(SENT) + "\n"))
    deploy = Deploy(run, host, inventory=THERE, settings="stdin")
    own = files.directory / f"environment.{deploy.release}.json"
    assert json.loads(own.read_text()) == {**SENT["environment"], "DATABASE_URL": url}
    code, _ = deploy.go_live("--migrate")
    assert code == ExitCode.SUCCESS
    assert json.loads(files.now()["environment.json"])["DATABASE_URL"] == url


def dies_in_rehearsal(deploy: Deploy) -> None:
    """Before anything live is touched."""
    deploy.host.behaviours[deploy.release] = Behaviour(boots=False)


def does_not_serve(deploy: Deploy) -> None:
    """After `current` has moved."""
    deploy.host.behaviours[deploy.release] = Behaviour(claims="another")


def fails_to_migrate(deploy: Deploy) -> None:
    """With the new settings."""
    deploy.host.failing_tasks.add("up")


@pytest.mark.parametrize("goes_wrong", [dies_in_rehearsal, does_not_serve, fails_to_migrate])
def test_a_release_that_fails_takes_them_with_it(
    deploy: Deploy, files: Settings, goes_wrong: Callable[[Deploy], None]
) -> None:
    """Nothing has to be put back, since nothing was replaced."""
    goes_wrong(deploy)
    assert deploy.go_live("--migrate")[0] != ExitCode.SUCCESS
    assert (deploy.host.live(), deploy.host.server.release) == (OLD, OLD)
    assert files.now() == files.before


def test_a_killed_activation_that_is_undone_takes_them_with_it(
    deploy: Deploy, host: FakeHost, files: Settings
) -> None:
    """The power failed before the service was reloaded."""
    host.interrupt_reload = True
    with pytest.raises(KilledError):
        deploy.go_live()
    assert deploy.run("recover")[1]["changed"] is True
    assert host.live() == OLD
    assert files.now() == files.before


def test_they_are_kept_by_who_finds_them_half_kept(
    deploy: Deploy, host: FakeHost, files: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power failed while they replaced what was there. The way back is still to what was before."""

    def die(*_: object) -> None:
        monkeypatch.undo()
        raise KilledError

    monkeypatch.setattr(changed_settings.Path, "replace", die)
    with pytest.raises(KilledError):
        deploy.go_live()
    assert files.path("environment").read_text() == files.before["environment.json"]
    assert deploy.run("recover")[1]["changed"] is True
    now = files.now()
    assert sorted(now) == ["environment.json", "gunicorn.json", "release.json"]
    assert json.loads(now["environment.json"]) == SENT["environment"]
    assert deploy.run("rollback", "--undo")[0] == ExitCode.SUCCESS
    assert files.now()["environment.json"] == files.before["environment.json"]


def test_the_same_source_with_other_settings_is_another_release(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not live already."""
    deploy.go_live()
    again = request(version="v2", archive_sha256=hashlib.sha256(b"archive").hexdigest(), inventory=THERE)
    assert deploy.run("begin", "--request", again, "--check")[1]["new"] is False
    other = json.loads(again) | {"inventory": {**THERE, "env": "d3"}, "settings": "stdin"}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(SENT) + "\n"))
    found = deploy.run("begin", "--request", json.dumps(other), "--check")[1]
    assert found["message"] == "would deploy version v2 with changed env"


def test_the_next_deploy_may_come_while_they_are_watched(
    deploy: Deploy, host: FakeHost, files: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in force, and are not yet where `site.yml` puts them: what is compared is what is in force."""
    monkeypatch.setattr("farrier_release.transaction._end_of_deploy", lambda *_: None)
    deploy.go_live()
    assert host.phase() == "watch"
    assert files.path("environment").read_text() == files.before["environment.json"]
    back = {"environment": OLD_ENVIRONMENT, "gunicorn": {"max_requests": 0}, "release": {"migrate": []}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(back) + "\n"))
    code, result = Deploy(deploy.run, host, inventory=HERE, settings="stdin", version="v3").go_live()
    assert code == ExitCode.SUCCESS
    assert "is live with changed env, max_requests, migrate (" in result["message"]


def test_what_only_site_changes_is_refused_beside_them(
    deploy: Deploy, files: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the lease is taken; only what does not travel is named."""
    deploy.go_live()
    before = files.now()
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(SENT) + "\n"))
    inventory = {**THERE, "env": "d3", "python": "3.13"}
    code, result = run("begin", "--request", request(inventory=inventory, settings="stdin"))
    assert code == ExitCode.CONFIGURATION
    assert (
        "reached this host: python is None on the host and '3.13' in the inventory (app test)"
        in result["message"]
    )
    assert files.now() == before


def test_an_environment_that_the_controller_does_not_know_does_not_travel(
    run: Run, files: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of it is known on the host alone."""
    sent = {key: value for key, value in SENT.items() if key != "environment"}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(sent) + "\n"))
    code, result = run("begin", "--request", request(inventory={**HERE, "secrets": "s2"}, settings="stdin"))
    assert code == ExitCode.CONFIGURATION
    assert "this host: secrets (app test)" in result["message"]


def test_a_new_secret_is_masked_before_it_is_in_force(deploy: Deploy, host: FakeHost) -> None:
    """And the old one, which the live release still has."""
    host.failing_tasks.add("up")
    host.task_output = "neither new-password nor old-password"
    result = deploy.go_live("--migrate")[1]
    assert result["error"]["log"][0] == "neither ***PASSWORD*** nor ***PASSWORD***"


def test_a_rollback_keeps_them_and_says_so(deploy: Deploy, host: FakeHost, files: Settings) -> None:
    """The inventory has them, and would bring them again."""
    deploy.go_live()
    manifest = host.configuration.release_directory(OLD) / ".farrier.json"
    then = json.loads(manifest.read_text()) | {"settings": {"env": "another", "python": "unknown"}}
    manifest.write_text(json.dumps(then))
    before = files.now()
    told = "with the settings of today: env, python changed since its deploy"
    assert told in deploy.run("rollback", "--check")[1]["message"]
    code, result = deploy.run("rollback")
    assert code == ExitCode.SUCCESS
    assert told in result["message"]
    assert files.now() == before


def test_the_undo_of_a_fleet_takes_them_back(deploy: Deploy, host: FakeHost, files: Settings) -> None:
    """Another host has failed: all of them are as they were before the deploy."""
    deploy.go_live()
    code, result = deploy.run("rollback", "--undo")
    assert code == ExitCode.SUCCESS
    assert f"{OLD} is live with changed env, max_requests, migrate (" in result["message"]
    now = files.now()
    assert {name: now[name] for name in now if name != "release.json"} == {
        name: text for name, text in files.before.items() if name != "release.json"
    }
    assert json.loads(now["release.json"])["inventory"] == HERE
