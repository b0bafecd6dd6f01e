"""What README says of a controller, on a fresh machine, for a user without root, with the newest core."""

from __future__ import annotations

import re
import shlex

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import versions
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.harness.connections import reached
from tests.harness.deploys import AppHost

APP = "observatory"


@pytest.fixture(scope="module")
def controller() -> Host:
    """The machine on which Ansible runs."""
    return reached("controller")


@pytest.fixture(scope="module")
def app() -> AppHost:
    """The app, on the host that the controller sets up."""
    return AppHost(reached("controlled"), "controlled", APP)


def by_operator(controller: Host, command: str) -> CommandResult:
    """Run a command in the clone, with its .venv."""
    line = shlex.quote(f"cd farrier && . .venv/bin/activate && {command}")
    return controller.run(f"runuser --login operator --command {line}")


def play(controller: Host, playbook: str) -> str:
    """Run a playbook that ansible-core finds nothing to warn of, and return what it printed."""
    done = by_operator(controller, f"ansible-playbook -i inventories/mine {playbook} 2>&1")
    print(done.stdout)
    assert done.rc == 0, done.stdout
    assert "WARNING" not in done.stdout, done.stdout
    return done.stdout


def test_the_operator_has_no_root(controller: Host) -> None:
    """So `make ready` had none either."""
    assert by_operator(controller, "sudo --non-interactive true").rc != 0


def test_ansible_core_is_of_the_newest_series_that_is_supported(controller: Host) -> None:
    """Else this scenario would say nothing of it."""
    major, after = versions.CORE_BEFORE
    installed = by_operator(controller, "ansible --version").stdout
    assert re.match(rf"ansible \[core {major}\.{after - 1}\.", installed), installed


def test_site_is_run_twice(controller: Host, app: AppHost) -> None:
    """The second run changes nothing. Both use mitogen, and say so."""
    play(controller, "--syntax-check site.yml")
    assert "strategy: mitogen" in play(controller, "site.yml")
    assert app.look().live.endswith("-v1")
    assert re.search(r"^controlled +: ok=\d+ +changed=0 ", play(controller, "site.yml"), re.MULTILINE)


def test_a_deploy_and_a_rollback(controller: Host, app: AppHost) -> None:
    """What an operator does on all other days."""
    before = app.look().live
    play(controller, f"playbooks/deploy.yml -e app={APP} -e version=v2")
    assert app.look().live.endswith("-v2")
    play(controller, f"playbooks/rollback.yml -e app={APP}")
    assert app.look().live == before
