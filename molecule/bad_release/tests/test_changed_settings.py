"""A deploy brings what has changed in the inventory; when the release fails, nothing of it is left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from app_under_load import AppUnderLoad

from inventories import inventory_with
from tests.harness import deploys

SECRET = "xuhaikopzfvc"


def wait_until_kept(app_under_load: AppUnderLoad) -> None:
    """Settings are where `site.yml` puts them as soon as their release is no longer watched."""
    watch = "systemctl --quiet is-active farrier-observatory-transaction.service"
    app_under_load.site.host.check_output(f"while {watch}; do sleep 0.2; done")


def settings_of(app_under_load: AppUnderLoad) -> dict[str, str]:
    """The app's settings on its host, by file."""
    wait_until_kept(app_under_load)
    host = app_under_load.site.host
    listed = host.check_output("cd /etc/farrier/observatory && ls environment* gunicorn* release*").split()
    return {name: host.file(f"/etc/farrier/observatory/{name}").content_string for name in listed}


def test_what_has_changed_goes_live(app_under_load: AppUnderLoad, tmp_path: Path) -> None:
    """With one deploy; `site.yml` then has nothing to do. The next deploy takes it back as well."""
    before = settings_of(app_under_load)
    app_under_load.begin("changed settings")
    changes: dict[str, Any] = {
        "env": {"GREETING": "hello"},
        "secrets": {"TOKEN": SECRET},
        "max_requests": 50_000,
        "hooks": {"before_build": ["./before_build"]},
    }
    inventory = inventory_with(app_under_load, tmp_path, **changes)
    version = app_under_load.good_version()
    done = deploys.run(inventory, "deploy", app="observatory", version=version)
    assert not done.failed, done.output
    assert f"-{version} is live with changed env, hooks, max_requests, secrets (reload" in done.output
    assert SECRET not in done.output
    state = app_under_load.site.wait_until_quiet()
    assert state.live.endswith(f"-{version}")
    host = app_under_load.site.host
    assert host.check_output("farrier run observatory -- printenv GREETING TOKEN") == f"hello\n{SECRET}"
    wait_until_kept(app_under_load)
    site = deploys.run(inventory, "site")
    assert not site.failed, site.output
    assert re.search(r"changed=0\b", site.output), site.output
    app_under_load.check_a_good_release_goes_live()
    assert settings_of(app_under_load) == before
    app_under_load.check_no_request_failed()


def test_what_makes_a_release_fail_goes_with_it(app_under_load: AppUnderLoad, tmp_path: Path) -> None:
    """A good version, and a variable that it cannot start with."""
    files = settings_of(app_under_load)
    before = app_under_load.begin("settings that fail")
    inventory = inventory_with(app_under_load, tmp_path, env={"LOG_LEVEL": "nonsense"})
    done = deploys.run(inventory, "deploy", app="observatory", version=app_under_load.good_version())
    assert done.failed
    assert "Unknown level: 'NONSENSE'" in done.output
    app_under_load.check_live_is_untouched(before, app_under_load.site.wait_until_quiet())
    assert settings_of(app_under_load) == files
    app_under_load.check_no_request_failed()


def test_what_only_site_brings_is_named(app_under_load: AppUnderLoad, tmp_path: Path) -> None:
    """And the command that brings it."""
    before = app_under_load.begin("settings that do not travel")
    inventory = inventory_with(app_under_load, tmp_path, memory_max_mb=512, env={"GREETING": "hello"})
    done = deploys.run(inventory, "deploy", app="observatory", version=app_under_load.good_version())
    assert done.failed
    assert "memory_max_mb is None on the host and 512 in the inventory (app observatory)" in done.output
    assert "Next: ansible-playbook farrier.kit.site" in done.output, done.output
    app_under_load.check_live_is_untouched(before, app_under_load.site.wait_until_quiet())
