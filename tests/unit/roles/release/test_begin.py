"""begin: nothing is done where nothing is new, and nothing is begun where it cannot end."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import App
from farrier_release.application import Application
from farrier_release.begin import build_inputs
from farrier_release.config import Hooks, parse
from farrier_release.errors import ExitCode
from farrier_release.state import Transaction

from tests.unit.roles.release.conftest import SHA, Run, add_release, make_live, request
from tests.unit.roles.release.machine import FakeHost, with_settings

OLD = "20260101T000000Z-v1"
NEW = "20260102T000000Z-v2"


def live_as_asked(host: FakeHost) -> None:
    """The very thing that `request` asks for is live."""
    inputs = build_inputs(Application(host.configuration, host), {"archive_sha256": SHA})
    make_live(host, OLD, inputs=inputs)


def test_what_is_live_is_not_deployed_again(run: Run, host: FakeHost) -> None:
    """No lease, no change, and it says so."""
    live_as_asked(host)
    code, result = run("begin", "--request", request())
    assert (code, result["changed"], result["release"]) == (ExitCode.SUCCESS, False, OLD)
    assert "is already live" in result["message"]
    assert run("status")[1]["lease"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"subdir": "web"},
        {"python": "3.12"},
        {"hooks": {"after_build": ["make pages"]}},
    ],
)
def test_another_way_to_build_is_something_new(run: Run, host: FakeHost, changes: dict[str, object]) -> None:
    """The source is the same, the release would not be."""
    live_as_asked(host)
    with_settings(host, **changes)
    assert run("begin", "--request", request())[1]["changed"] is True


@pytest.mark.parametrize("key", ["extras", "groups"])
def test_other_extras_or_groups_are_something_new(run: Run, host: FakeHost, key: str) -> None:
    """The archive is the same, what is installed is not."""
    live_as_asked(host)
    assert run("begin", "--request", request(project={key: []}))[1]["changed"] is False
    assert run("begin", "--request", request(project={key: ["prod"]}))[1]["changed"] is True


def test_new_server_packages_of_the_kit_are_something_new(run: Run, host: FakeHost) -> None:
    """A security upgrade of gunicorn reaches applications that do not bring their own."""
    live_as_asked(host)
    host.configuration.server_requirements.write_text("gunicorn==27.0.2")
    assert run("begin", "--request", request())[1]["changed"] is True


def test_another_environment_is_something_new_to_build_hooks(host: FakeHost) -> None:
    """Who compiles files with the app's settings has others now. Without a hook, no build reads them."""
    settings, wanted = host.configuration, {"archive_sha256": SHA}
    changed = {"hook_environment": {"LANGUAGES": "de,fr"}}

    def inputs(**changes: Any) -> dict[str, Any]:
        return build_inputs(Application(replace(settings, **changes), host), wanted)

    hooks = Hooks(after_build=("compile",))
    assert inputs(**changed) == inputs()
    assert inputs(hooks=hooks, **changed) != inputs(hooks=hooks)


def test_a_live_release_whose_service_is_down_is_deployed_again(run: Run, host: FakeHost) -> None:
    """Saying that all is well would be a lie."""
    live_as_asked(host)
    host.systemctl("stop", "test.service")
    assert run("begin", "--request", request())[1]["changed"] is True


@pytest.mark.parametrize(("watched", "is_new"), [(OLD, False), (NEW, True)])
def test_a_release_that_an_undo_goes_back_to_is_not_live_yet(
    run: Run, host: FakeHost, watched: str, is_new: bool
) -> None:
    """The symlink points to it, and the workers are those of the release that was watched."""
    live_as_asked(host)
    transaction = Transaction(
        "t", "deploy", "ann", {}, watched, OLD, time.time(), phase="watch", flip={"at": 1.0}
    )
    Application(host.configuration, host).state.begin(transaction)
    assert run("begin", "--request", request(), "--check")[1]["new"] is is_new


def test_check_changes_nothing(run: Run, host: FakeHost) -> None:
    """And says what would be done."""
    make_live(host, OLD)
    code, result = run("begin", "--request", request(), "--check")
    assert (code, result["changed"]) == (ExitCode.SUCCESS, True)
    assert "would deploy version v2" in result["message"]
    assert run("status")[1]["lease"] is None


def test_a_deploy_gets_an_id_that_says_when_and_what(run: Run, host: FakeHost) -> None:
    """And where to send the archive."""
    make_live(host, OLD)
    _, result = run("begin", "--request", request())
    assert result["release"].endswith("Z-v2")
    assert result["from"] == OLD
    assert result["upload_to"] == str(host.configuration.incoming_directory / f"{SHA}.tar.gz")
    assert len(result["token"]) == 32


def test_ids_are_never_used_twice(run: Run, host: FakeHost) -> None:
    """Two deploys within a second, or a clock that was put back."""
    releases = Application(host.configuration, host).releases
    first = releases.new_id("v1")
    add_release(host.configuration, first)
    assert releases.new_id("v1") != first


def test_leftovers_of_dead_attempts_go(run: Run, host: FakeHost) -> None:
    """Releases that were never live, and archives; never what is live or was live."""
    make_live(host, OLD, replaced="20251231T000000Z-v0")
    add_release(host.configuration, "20251231T000000Z-v0", verified_at=1.0)
    add_release(host.configuration, "20260103T000000Z-built")
    (host.configuration.release_directory("20260104T000000Z-half") / "source").mkdir(parents=True)
    (host.configuration.incoming_directory / "old.tar.gz").touch()
    run("begin", "--request", request())
    left = sorted(path.name for path in host.configuration.releases_directory.iterdir())
    assert left == ["20251231T000000Z-v0", OLD]
    assert not list(host.configuration.incoming_directory.iterdir())


@pytest.mark.parametrize("version", ["v 2", "../v2", "", "-v2", "v" * 70])
def test_versions_that_cannot_be_names_are_refused(run: Run, version: str) -> None:
    """They become part of a path and of a unit's name."""
    code, result = run("begin", "--request", request(version=version))
    assert code == ExitCode.USAGE
    assert "cannot be part of a release's name" in result["message"]


def test_a_request_that_lacks_something_is_refused(run: Run) -> None:
    """As by a controller of another version."""
    code, result = run("begin", "--request", "{}")
    assert code == ExitCode.USAGE
    assert "archive_sha256" in result["message"]


def test_a_host_that_is_not_prepared_is_refused(run: Run, host: FakeHost) -> None:
    """What is missing is named, and what brings it."""
    host.configuration.uv.unlink()
    code, result = run("begin", "--request", request())
    assert code == ExitCode.CONFIGURATION
    assert str(host.configuration.uv) in result["message"]
    assert "farrier.kit.site" in result["error"]["next_command"]


SETTINGS = {
    "env": "digest",
    "health_path": "/healthz",
    "migrate": ["up"],
    "python": None,
    "secrets": "digest",
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"python": "3.13"}, "python is None on the host and '3.13' in the inventory (app test)"),
        ({"migrate": []}, "migrate is ['up'] on the host and [] in the inventory"),
        ({"env": "another"}, "this host: env (app test)"),
        ({"env": "another", "secrets": "another"}, "this host: env; secrets (app test)"),
    ],
)
def test_a_host_that_was_not_told_of_a_change_is_not_deployed_to(
    run: Run, host: FakeHost, changes: dict[str, object], named: str
) -> None:
    """The release would be built, migrated or run in another way than the inventory says."""
    with_settings(host, inventory=SETTINGS)
    assert run("begin", "--request", request(inventory=SETTINGS), "--check")[0] == ExitCode.SUCCESS
    code, result = run("begin", "--request", request(inventory={**SETTINGS, **changes}))
    assert code == ExitCode.CONFIGURATION
    assert named in result["message"]
    assert "digest" not in result["message"]
    assert "another" not in result["message"]
    assert "farrier.kit.site" in result["error"]["next_command"]
    assert run("status")[1]["lease"] is None


def test_what_only_one_of_host_and_inventory_knows_is_not_compared(run: Run, host: FakeHost) -> None:
    """The host has it from another version of the kit, or the inventory only knows it on the host."""
    with_settings(host, inventory={**SETTINGS, "of_a_newer_version": 1})
    told = {key: value for key, value in SETTINGS.items() if key != "env"} | {"of_an_older_version": 1}
    assert run("begin", "--request", request(inventory=told))[0] == ExitCode.SUCCESS


def test_defaults_are_those_of_the_inventory_contract() -> None:
    """A key that the inventory leaves out has one default, not two."""
    app = App.model_validate(
        {"name": "shop", "domains": ["a.example.org"], "source": {"path": "/x"}, "module": "shop:app"}
    )
    here = parse({"name": "shop"}, "here")
    assert (here.python, here.health_path, list(here.migrate)) == (app.python, app.health_path, app.migrate)
    assert here.keep_releases == app.keep_releases
    assert {key: list(value) for key, value in asdict(here.hooks).items()} == app.hooks.model_dump()


def test_a_host_without_the_applications_users_is_refused(run: Run, host: FakeHost) -> None:
    """Nothing is ever built or run as somebody else instead."""
    host.users.remove("test-build")
    code, result = run("begin", "--request", request())
    assert code == ExitCode.CONFIGURATION
    assert "no user test-build" in result["message"]


def test_a_full_disk_is_found_before_the_build(
    run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How much is free, how much is needed, where to look; nothing is begun."""
    make_live(host, OLD)
    full = SimpleNamespace(f_bavail=10, f_frsize=1 << 20, f_files=0, f_favail=0)
    with_settings(host, free_disk_min_mb=100)
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    code, result = run("begin", "--request", request())
    assert code == ExitCode.FAILED
    assert "10 MB free, 100 MB needed" in result["message"]
    assert result["live"] == OLD
    assert run("status")[1]["lease"] is None


def test_a_disk_without_inodes_is_found_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`df -h` shows free space, and nothing can be written."""
    full = SimpleNamespace(f_bavail=1 << 20, f_frsize=1 << 20, f_files=100_000, f_favail=3)
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert "3 inodes free" in run("begin", "--request", request())[1]["message"]


def test_an_interrupted_activation_is_settled_first(run: Run, host: FakeHost) -> None:
    """Otherwise the new deploy would record a broken release as the one to go back to."""
    make_live(host, OLD)
    add_release(host.configuration, "20260102T000000Z-bad")
    (host.configuration.root / ".activation.json").write_text(
        f'{{"from": "{OLD}", "to": "20260102T000000Z-bad", "replaced": "{OLD}", "at": {time.time()}}}'
    )
    _, result = run("begin", "--request", request())
    assert f"{OLD} is live again" in result["message"]
    assert result["from"] == OLD


def test_a_deploy_that_never_came_to_its_turn_leaves_no_trace(run: Run, host: FakeHost) -> None:
    """In a fleet that is every host after the one that failed: its log tells what happened on the host."""
    token = run("begin", "--request", request())[1]["token"]
    assert run("abort", "--token", token)[1]["changed"] is True
    assert run("status")[1]["lease"] is None
    assert not (host.configuration.log_directory / "deploys.jsonl").exists()
