"""An old name of a variable stops the run: without a word, the setting would just no longer apply."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    Fleet,
    HostView,
    inventory_problems,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.renamed import RENAMED

from tests.unit.playbooks import ROOT


def defaults(role: str) -> dict[str, object]:
    """Return the public variables of a role."""
    found: dict[str, object] = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [("deploy_soak_seconds", "release_soak_seconds"), ("gunicorn_backlog", "app_server_backlog")],
)
def test_old_name_is_answered_with_the_new_one(old: str, new: str) -> None:
    """Once for all hosts that have it."""
    hosts = {
        name: HostView([], variables=["apps", old, "gunicorn_version", "my_serving_min"])
        for name in ("a", "b")
    }
    (problem,) = inventory_problems({"edge": ["a"], "app": ["b"]}, hosts)
    assert problem.lines() == [
        f"variable, key {old}: was renamed in 0.2",
        f"fix: rename it to {new}",
        "(hosts: a, b)",
    ]


def test_every_new_name_is_one_that_the_kit_reads() -> None:
    """A sentence that leads to a name that nobody reads would be worse than none."""
    assert set(RENAMED.values()) <= {*Fleet.model_fields, *defaults("certbot"), *defaults("app_server")}


def test_the_role_begins_with_what_the_inventory_may_set() -> None:
    """A setting has one name at both places, and so one default."""
    role = defaults("release")
    fleet = {name: value for name, value in Fleet().model_dump().items() if name in role}
    assert len(fleet) == 4
    assert fleet == {name: role[name] for name in fleet}
