"""What a deploy compares between the inventory and a host."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    App,
    Unresolved,
    running_settings,
    travelling_settings,
)
from farrier_release.config import Configuration

APP: dict[str, Any] = {
    "name": "shop",
    "domains": ["shop.example.org"],
    "source": {"git": "https://git.example.org/shop.git", "version": "v1", "subdir": "web/"},
    "module": "shop:app",
    "env": {"LOG_LEVEL": "info"},
    "secrets": {"KEY": "hunter2"},
}


def test_defaults_make_no_difference() -> None:
    """The host has them filled in, the inventory need not."""
    complete = App.model_validate(APP).model_dump()
    assert running_settings(complete) == running_settings(APP)
    assert running_settings(APP)["subdir"] == "web"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"env": {"LOG_LEVEL": "debug"}}, "env"),
        ({"env": {}}, "env"),
        ({"secrets": {"KEY": "hunter3"}}, "secrets"),
        ({"workers": 3}, "workers"),
        ({"static": {"/static": "static"}}, "static"),
        ({"migrate": ["up"]}, "migrate"),
        ({"memory_max_mb": 512}, "memory_max_mb"),
        ({"processes": {"worker": {"command": "arq shop.Settings"}}}, "processes"),
    ],
)
def test_a_change_shows_in_its_key_alone(changes: dict[str, Any], key: str) -> None:
    """The deploy names it."""
    before, after = running_settings(APP), running_settings({**APP, **changes})
    assert [name for name in before if before[name] != after[name]] == [key]


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {**APP["source"], "version": "v2"}},
        {"domains": ["other.example.org"]},
        {"processes": {"beat": {"command": "beat", "once": True}}},
        {"edge": {"redirect_to_first_domain": True}},
        {"certificate": {"source": "self_signed"}},
    ],
)
def test_what_an_app_host_does_not_have_makes_no_difference(changes: dict[str, Any]) -> None:
    """It would stop deploys for nothing."""
    assert running_settings({**APP, **changes}) == running_settings(APP)


def test_no_value_of_the_environment_shows() -> None:
    """Both sides end up in messages and on command lines."""
    shown = str(running_settings(APP))
    assert "hunter2" not in shown
    assert "info" not in shown


def test_apps_with_the_same_secrets_do_not_show_it() -> None:
    """The name of the app is the salt."""
    assert running_settings(APP)["secrets"] != running_settings({**APP, "name": "other"})["secrets"]


def test_what_cannot_be_resolved_here_is_left_out() -> None:
    """Such as an address that only the facts of the host have."""
    unresolved = {"ADDRESS": Unresolved("cannot be resolved", "gather facts")}
    settings = running_settings({**APP, "env": unresolved})
    assert "env" not in settings
    assert settings == {key: value for key, value in running_settings(APP).items() if key != "env"}


def test_what_a_deploy_brings() -> None:
    """As the files of a host have it, whether the inventory names it or leaves it out."""
    found = travelling_settings({**APP, "max_requests": 105, "migrate": ["up"]})
    assert found == travelling_settings(
        App.model_validate({**APP, "max_requests": 105, "migrate": ["up"]}).model_dump()
    )
    assert found["environment"] == {"LOG_LEVEL": "info", "KEY": "hunter2"}
    assert found["release"]["hook_environment"] == {"LOG_LEVEL": "info"}
    assert (found["release"]["migrate"], found["release"]["health_path"]) == (["up"], "/healthz")
    assert found["gunicorn"] == {
        "max_requests": 105,
        "max_requests_jitter": 10,
        "threads": 8,
        "worker_memory_max_mb": 0,
    }
    assert set(found["release"]) <= {one.name for one in fields(Configuration)}


@pytest.mark.parametrize(
    ("unknown", "left_out"), [("secrets", "environment"), ("env", "environment"), ("threads", "gunicorn")]
)
def test_what_the_controller_cannot_resolve_does_not_travel(unknown: str, left_out: str) -> None:
    """It would take the place of what the host has."""
    found = travelling_settings({**APP, unknown: Unresolved("{{ of_the_host }}", "")})
    assert left_out not in found
    assert "hook_environment" not in found["release"] or unknown != "env"
