"""A variable of the command line beats what a playbook sets: one that was not meant must not pass."""

from __future__ import annotations

import re

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import Fleet, model_problems
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.extra_variables import (
    PLAYBOOKS,
    extra_variable_problems,
    task_names,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.inventory import SETTINGS

from tests.unit.playbooks import ROOT

INVENTORY = {"web1": {"site": "example.org", "apps": [{"name": "shop", "domains": ["shop.{{ stage }}"]}]}}


def told(playbook: str, *given: str) -> list[tuple[str, bool]]:
    """Return each problem, and whether the run goes on."""
    problems = extra_variable_problems(playbook, given, INVENTORY, SETTINGS)
    return [("; ".join(problem.lines()), problem.is_warning) for problem in problems]


@pytest.mark.parametrize(
    ("playbook", "name"),
    [
        ("deploy", "app"),
        ("deploy", "release_soak_seconds"),
        ("drain", "drain_seconds"),
        ("restore", "_raw_params"),
        ("site", "nginx_hsts_max_age_seconds"),
        ("site", "apps"),
        ("site", "ansible_user"),
        ("site", "awx_job_id"),
        ("site", "site"),
        ("site", "stage"),
    ],
)
def test_names_that_are_meant_pass(playbook: str, name: str) -> None:
    """The playbook's own, the contract's, a role's, Ansible's, and what the inventory defines or mentions."""
    assert told(playbook, name) == []


@pytest.mark.parametrize(
    ("playbook", "name", "message"),
    [
        (
            "site",
            "app",
            "-e app: is not a variable of site.yml, but of deploy, rollback, status, run, measure, logs, "
            "maintenance_mode",
        ),
        ("deploy", "host", "of drain; fix: leave it out; it takes app, version, mixed, unreachable"),
        ("deploy", "verison", "did you mean version?"),
        ("site", "nginx_hsts_max_age_second", "did you mean nginx_hsts_max_age_seconds?"),
        ("site", "taken", "leave it out"),
        ("site", "release_apps", "leave it out"),
        ("site", "__nginx_pending", "leave it out"),
    ],
)
def test_names_that_would_change_what_a_run_does_stop_it(playbook: str, name: str, message: str) -> None:
    """Or that were meant to, and would not."""
    ((line, goes_on),) = told(playbook, name)
    assert message in line
    assert not goes_on


def test_a_name_that_is_like_no_other_may_be_another_collections() -> None:
    """It is told, and the run goes on."""
    ((line, goes_on),) = told("deploy", "build_number")
    assert "-e build_number: is not a variable of deploy.yml, of the kit's roles or of the inventory" in line
    assert goes_on


def test_no_name_of_the_kits_tasks_can_be_set_from_outside() -> None:
    """Of vars, a loop, a fact, a result, and of what a play hands to a role."""
    names = task_names()
    assert {"foreign", "item", "taken", "nginx_restart_due", "__nginx_unit", "release_edge"} <= names
    for name in names - {*SETTINGS, *PLAYBOOKS["site"]}:
        ((_, goes_on),) = told("site", name)
        assert not goes_on, name


def test_every_playbook_names_what_it_takes() -> None:
    """By `-e` in its first line, and in the call of the preflight."""
    for name, taken in PLAYBOOKS.items():
        first, text = (ROOT / f"playbooks/{name}.yml").read_text().split("\n", 1)
        shown = set(re.findall(r"-e (\w+)=", first))
        assert shown - set(SETTINGS) - {"release_status_file"} <= set(taken), name
        assert name == "status" or f"preflight_playbook: {name}\n" in text


@pytest.mark.parametrize(
    ("given", "value"), [("0.5", 0.5), ("1", 1), ("1.0", 1.0), ("0", 0), (0.5, 0.5), ("100", 100)]
)
def test_a_share_of_errors_may_be_the_text_that_the_command_line_gives(given: object, value: float) -> None:
    """Also one below one percent."""
    said = {"release_error_percent_max": given, "release_soak_seconds": "60"}
    assert Fleet.model_validate(said).release_error_percent_max == value


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("release_error_percent_max", "-1", "is below 0"),
        ("release_error_percent_max", "1e1", "is text"),
        ("release_soak_seconds", "0.5", "is a decimal number, not a whole number"),
        ("release_batches", "0.5", "is neither a whole number nor a percentage"),
    ],
)
def test_numbers_that_are_none_are_refused(name: str, given: str, message: str) -> None:
    """As they are in an inventory."""
    said = {"release_soak_seconds": 60, name: given}
    (problem,) = model_problems("group app", Fleet, said)
    assert message in problem.what
