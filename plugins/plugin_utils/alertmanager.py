"""What Alertmanager goes by: who is told of what, and where their secrets are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

HEARTBEAT = "heartbeat"
SEVERITIES = ("page", "warning", "notice")
# The keys of a receiver that are secrets, and those by which Alertmanager takes them from a file.
SECRETS = {
    "webhook_url": ("webhook_configs", "url_file"),
    "slack_url": ("slack_configs", "api_url_file"),
    "mail_password": ("email_configs", "auth_password_file"),
}
_SLACK_TITLE = "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}"
_SLACK_TEXT = "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ end }}"


def everyone(receivers: list[dict[str, Any]], heartbeat_url: str) -> list[dict[str, Any]]:
    """Return the receivers with every default, and the dead man's switch as one of them."""
    switch = [{"name": HEARTBEAT, "webhook_url": heartbeat_url, "severities": []}] if heartbeat_url else []
    return [*({"severities": list(SEVERITIES), **one} for one in receivers), *switch]


def digests(receivers: list[dict[str, Any]]) -> dict[str, str]:
    """Return by name what changes with a receiver."""
    return {
        one["name"]: hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest() for one in receivers
    }


def secrets(receivers: list[dict[str, Any]]) -> dict[str, str]:
    """Return the secrets of receivers by the names of their files."""
    return {one["name"]: str(one[key]) for one in receivers for key in SECRETS if one.get(key)}


def secret_files(receivers: list[dict[str, Any]], gone: list[str], directory: str) -> list[dict[str, Any]]:
    """Return the files with the secrets of receivers, as `applied_file` takes them.

    Args:
        receivers: What `everyone` returns.
        gone: Names of others, whose files are removed.
        directory: Of the files.
    """
    found = secrets(receivers)
    return [
        *({"dest": f"{directory}/{name}"} for name in gone if name not in found),
        *(
            {"dest": f"{directory}/{name}", "content": content, "mode": "0640", "group": "prometheus"}
            for name, content in found.items()
        ),
    ]


def configuration(
    receivers: list[dict[str, Any]], times: Mapping[str, str], directory: str, has_url_file: bool
) -> dict[str, Any]:
    """Return the configuration of Alertmanager.

    Args:
        receivers: What `everyone` returns.
        times: Durations: `group_wait`, `group_interval`, `repeat_interval` and `heartbeat_interval`.
        directory: Of the files of `secret_files`.
        has_url_file: Whether this Alertmanager takes the URL of a webhook from a file.
    """
    told = [one for one in receivers if one["name"] != HEARTBEAT]
    return {
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname", "app", "name"],
            "group_wait": times["group_wait"],
            "group_interval": times["group_interval"],
            "repeat_interval": times["repeat_interval"],
            "routes": [
                *(_route(one["name"], f'receiver="{one["name"]}"', group_wait="0s") for one in receivers),
                {"receiver": "nobody", "matchers": ['alertname="ReceiverTest"']},
                _heartbeat(receivers, times["heartbeat_interval"]),
                *(route for one in told for route in _routes(one)),
            ],
        },
        # Of a host that is down, nothing else is told; of an app that is down, neither errors nor slowness.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="HostDown"'],
                "target_matchers": ['alertname!="HostDown"', 'severity!="notice"'],
                "equal": ["instance"],
            },
            {
                "source_matchers": ['alertname="AppDown"'],
                "target_matchers": ['alertname=~"AppErrors|AppSlow"'],
                "equal": ["app"],
            },
        ],
        "receivers": [{"name": "nobody"}, *(_receivers(receivers, directory, has_url_file))],
    }


def _heartbeat(receivers: list[dict[str, Any]], interval: str) -> dict[str, Any]:
    name = next((one["name"] for one in receivers if one["name"] == HEARTBEAT), "nobody")
    return {
        **_route(name, 'severity="heartbeat"', group_wait="0s"),
        "group_interval": interval,
        "repeat_interval": interval,
    }


def _routes(receiver: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a receiver is told: what rings, until it falls silent, and news, once."""
    rings = [severity for severity in receiver["severities"] if severity != "notice"]
    routes = []
    if rings:
        matcher = f'severity=~"{"|".join(rings)}"'
        routes.append({**_route(receiver["name"], matcher), "continue": True})
    if "notice" in receiver["severities"]:
        news = _route(f"{receiver['name']}-news", 'severity="notice"')
        routes.append({**news, "group_by": ["alertname", "app", "release"], "continue": True})
    return routes


def _route(receiver: str, matcher: str, **more: str) -> dict[str, Any]:
    return {"receiver": receiver, "matchers": [matcher], **more}


def _receivers(receivers: list[dict[str, Any]], directory: str, has_url_file: bool) -> list[dict[str, Any]]:
    found = []
    for one in receivers:
        kind, integration = _integration(one, directory, has_url_file)
        found.append({"name": one["name"], kind: [{**integration, "send_resolved": True}]})
        if "notice" in one["severities"]:
            found.append({"name": f"{one['name']}-news", kind: [{**integration, "send_resolved": False}]})
    return found


def _integration(one: dict[str, Any], directory: str, has_url_file: bool) -> tuple[str, dict[str, Any]]:
    """Return the kind of a receiver and how it is reached."""
    key = next((key for key in ("webhook_url", "slack_url") if one.get(key)), "mail_password")
    kind, file_key = SECRETS[key]
    secret = {file_key: f"{directory}/{one['name']}"}
    if key == "webhook_url":
        return kind, secret if has_url_file else {"url": one[key]}
    if key == "slack_url":
        channel = {"channel": one["slack_channel"]} if one.get("slack_channel") else {}
        return kind, {**secret, **channel, "title": _SLACK_TITLE, "text": _SLACK_TEXT}
    user = {"auth_username": one["mail_user"], **secret} if one.get("mail_user") else {}
    return kind, {
        "to": one["mail_to"],
        "from": one["mail_from"],
        "smarthost": one["mail_server"],
        "require_tls": one.get("mail_tls", True),
        **user,
    }
