"""Alertmanager tells each receiver what it is to be told, and has its secrets in files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils import alertmanager

TIMES = {
    "group_wait": "10s",
    "group_interval": "60s",
    "repeat_interval": "12h",
    "heartbeat_interval": "300s",
}
CHAT = {"name": "chat", "slack_url": "https://chat.example.org/canary"}
HOOK = {"name": "hook", "webhook_url": "https://hook.example.org/canary", "severities": ["page"]}
MAIL = {
    "name": "mail",
    "mail_to": "ops@example.org",
    "mail_from": "farrier@example.org",
    "mail_server": "mail.example.org:587",
    "mail_user": "farrier",
    "mail_password": "canary",
    "severities": ["warning", "page"],
}
SWITCH = "https://switch.example.org/canary"


def configuration(*receivers: dict[str, Any], switch: str = SWITCH, has_url_file: bool = True) -> Any:
    """Return the configuration for receivers."""
    everyone = alertmanager.everyone(list(receivers), switch)
    return alertmanager.configuration(everyone, TIMES, "secrets", has_url_file)


def receivers_of(made: Any) -> dict[str, Any]:
    """Return the receivers by name, each with its kind and its one integration."""
    found = {}
    for one in made["receivers"]:
        for kind, [integration] in ((key, value) for key, value in one.items() if key != "name"):
            found[one["name"]] = (kind, integration)
    return found


def test_secrets_are_in_files_alone() -> None:
    """Where Alertmanager takes them from a file."""
    made = configuration(CHAT, HOOK, MAIL)
    assert "canary" not in json.dumps(made)
    found = receivers_of(made)
    assert found["hook"] == ("webhook_configs", {"url_file": "secrets/hook", "send_resolved": True})
    assert found["chat"][1]["api_url_file"] == "secrets/chat"
    assert found["mail"][1]["auth_password_file"] == "secrets/mail"
    assert found["heartbeat"][1]["url_file"] == "secrets/heartbeat"
    old = receivers_of(configuration(HOOK, has_url_file=False))
    assert old["hook"][1] == {"url": HOOK["webhook_url"], "send_resolved": True}


def test_secret_files_are_written_and_those_of_others_removed() -> None:
    """Readable to Alertmanager alone."""
    everyone = alertmanager.everyone([CHAT, MAIL], "")
    files = alertmanager.secret_files(everyone, ["gone", "chat"], "/etc/secrets")
    assert files == [
        {"dest": "/etc/secrets/gone"},
        {"dest": "/etc/secrets/chat", "content": CHAT["slack_url"], "mode": "0640", "group": "prometheus"},
        {"dest": "/etc/secrets/mail", "content": "canary", "mode": "0640", "group": "prometheus"},
    ]


def test_each_receiver_is_told_what_it_asks_for() -> None:
    """And every one of them, not the first that fits."""
    routes = configuration(CHAT, HOOK, MAIL)["route"]["routes"]
    told = {
        (route["receiver"], *route["matchers"], route.get("continue", False))
        for route in routes
        if "severity" in route["matchers"][0]
    }
    assert told == {
        ("chat", 'severity=~"page|warning"', True),
        ("chat-news", 'severity="notice"', True),
        ("hook", 'severity=~"page"', True),
        ("mail", 'severity=~"warning|page"', True),
        ("heartbeat", 'severity="heartbeat"', False),
    }


def test_news_are_told_once() -> None:
    """Of two receivers with one address, one tells nobody when an alert has ended."""
    found = receivers_of(configuration(CHAT))
    assert found["chat"][1]["send_resolved"]
    assert not found["chat-news"][1]["send_resolved"]
    assert "hook-news" not in receivers_of(configuration(HOOK))


def test_without_a_switch_the_watchdog_tells_nobody() -> None:
    """It is no alert."""
    made = configuration(CHAT, switch="")
    assert "heartbeat" not in receivers_of(made)
    [route] = [one for one in made["route"]["routes"] if one["matchers"] == ['severity="heartbeat"']]
    assert route["receiver"] == "nobody"


def test_test_message_reaches_its_receiver_alone() -> None:
    """Before any other route."""
    routes = configuration(CHAT, HOOK)["route"]["routes"]
    assert [(one["receiver"], one["matchers"]) for one in routes[:4]] == [
        ("chat", ['receiver="chat"']),
        ("hook", ['receiver="hook"']),
        ("heartbeat", ['receiver="heartbeat"']),
        ("nobody", ['alertname="ReceiverTest"']),
    ]


@pytest.mark.parametrize(
    "change", [{"slack_url": "https://chat.example.org/other"}, {"severities": ["page"]}]
)
def test_digest_changes_with_a_receiver(change: dict[str, Any]) -> None:
    """With that of no other."""
    before = alertmanager.digests(alertmanager.everyone([CHAT, HOOK], ""))
    after = alertmanager.digests(alertmanager.everyone([{**CHAT, **change}, HOOK], ""))
    assert before["chat"] != after["chat"]
    assert before["hook"] == after["hook"]
