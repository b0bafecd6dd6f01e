"""The inventory of monitoring: who watches, and whether hosts reach each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    HostView,
    Monitoring,
    Problem,
    inventory_problems,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.kit_groups import host_pattern

from tests.unit.plugins.plugin_utils.inventory_schema.test_fleet import host

ROLE = Path(__file__).resolve().parents[5] / "roles/monitoring"


def check(monitors: dict[str, HostView], **settings: object) -> list[Problem]:
    """Check an inventory of one machine with apps, and these monitors."""
    apps = {"web1": host(1, **settings)}
    groups = {"edge": ["web1"], "app": ["web1"], "monitor": list(monitors)}
    return inventory_problems(groups, {**apps, **monitors})


def test_any_host_may_be_the_monitor() -> None:
    """The only machine, too, and it needs no address."""
    assert check({"watch": host(2)}) == []
    alone = HostView(host(1).apps, settings={"ansible_host": "localhost"})
    assert inventory_problems({"edge": ["a"], "app": ["a"], "monitor": ["a"]}, {"a": alone}) == []


def test_two_monitors_are_refused() -> None:
    """Both are named, and which may stay."""
    [problem] = check({"watch1": host(2), "watch2": host(3)})
    [where, *told] = problem.lines()
    assert "has 2 hosts (watch1, watch2)" in where
    assert "leave one of them: watch1" in " ".join([where, *told])


def test_a_host_without_an_address_cannot_be_asked() -> None:
    """The monitor needs one, too: exporters let in no other."""
    [problem] = check({"watch": host(2)}, ansible_host="localhost")
    assert (problem.subject, problem.key) == ("host web1", "private_address")
    assert "asked by the monitor at this address" in problem.what
    [problem] = check({"watch": host(2, private_address="127.0.0.1")})
    assert "let in by the hosts that it watches at this address" in problem.what


def test_the_pattern_of_all_hosts_has_the_groups_that_are_there() -> None:
    """A play warns of others."""
    assert host_pattern({"all": [], "monitor": ["watch"], "app": ["web1"], "lab": []}) == "app:monitor"


URL = "https://hooks.example.org/canary"
MAIL = {"mail_to": "a@example.org", "mail_from": "b@example.org", "mail_server": "mail.example.org:587"}


def test_every_example_of_the_model_is_accepted() -> None:
    """Examples end up in the docs and in messages."""
    examples = {name: (field.examples or [None])[0] for name, field in Monitoring.model_fields.items()}
    assert check({"watch": host(2, **examples)}) == []


def test_defaults_are_those_of_the_role() -> None:
    """The docs say the one, hosts get the other."""
    role = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    for name, field in Monitoring.model_fields.items():
        assert role[name] == field.get_default(call_default_factory=True), name


@pytest.mark.parametrize(
    "receiver",
    [
        {"name": "chat", "slack_url": URL, "slack_channel": "#ops"},
        {"name": "hook", "webhook_url": URL, "severities": ["page", "notice"]},
        {"name": "mail", **MAIL, "mail_user": "x", "mail_password": "canary", "mail_tls": False},
    ],
)
def test_receivers_are_accepted(receiver: dict[str, object]) -> None:
    """Each by one way."""
    assert check({"watch": host(2, monitoring_receivers=[receiver])}) == []


@pytest.mark.parametrize(
    ("receiver", "told"),
    [
        ({"name": "chat"}, "has no way to be told"),
        ({"name": "chat", "slack_url": URL, "webhook_url": URL}, "has webhook_url and slack_url"),
        ({"name": "Chat", "slack_url": URL}, "is not the name of a receiver"),
        ({"name": "heartbeat", "slack_url": URL}, "is not the name of a receiver"),
        ({"name": "chat", "slack_url": "hooks.example.org/canary"}, "is not a URL"),
        ({"name": "chat", "slack_url": URL, "mail_from": "a@example.org"}, "of no use to it"),
        ({"name": "hook", "webhook_url": URL, "slack_channel": "#ops"}, "of no use to it"),
        ({"name": "hook", "webhook_url": URL, "severities": ["critical"]}, "is not page, warning or notice"),
        ({"name": "hook", "webhook_url": URL, "severities": []}, "is empty"),
        ({"name": "mail", **MAIL, "mail_server": "mail.example.org"}, "is not HOST:PORT"),
        ({"name": "mail", **MAIL, "mail_to": "ops"}, "is not an address of mail"),
        ({"name": "mail", **MAIL, "mail_password": "canary"}, "write both, or neither"),
        ({"name": "mail", "mail_to": "a@example.org"}, "has mail_to without mail_from and mail_server"),
    ],
)
def test_a_mistake_of_a_receiver_is_told_without_its_secrets(receiver: dict[str, object], told: str) -> None:
    """With the key and the fix."""
    [problem] = check({"watch": host(2, monitoring_receivers=[receiver])})
    text = " ".join(problem.lines())
    assert told in text
    assert "monitoring_receivers[0]" in text
    assert "canary" not in text


def test_two_receivers_of_one_name_are_refused() -> None:
    """Their files would be one."""
    receivers = [{"name": "chat", "slack_url": URL}, {"name": "chat", "webhook_url": URL}]
    [problem] = check({"watch": host(2, monitoring_receivers=receivers)})
    assert "is also the name of an earlier receiver" in problem.what


def test_a_url_of_a_switch_is_not_shown() -> None:
    """It is a secret, wrong as it may be."""
    [problem] = check({"watch": host(2, monitoring_heartbeat_url="switch.example.org/canary")})
    assert "is not a URL" in problem.what
    assert "canary" not in " ".join(problem.lines())


def test_receivers_without_a_monitor_are_told() -> None:
    """Nobody would tell them of anything."""
    view = host(1)
    view.variables = ["apps", "monitoring_receivers"]
    [problem] = inventory_problems({"edge": ["web1"], "app": ["web1"]}, {"web1": view})
    assert problem.is_warning
    assert "nobody is told of anything" in problem.what
