"""The inventory variables of monitoring, and what must hold between the monitor and what it watches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from .explain import model_problems
from .fleet_settings import resolved_address
from .hosts import HostView, without_address
from .mistakes import MistakeError, Problem
from .model import Strict, key

Severity = Literal["page", "warning", "notice"]
_WAYS = ("webhook_url", "slack_url", "mail_to")


def http_url(value: str) -> str:
    """A URL that Alertmanager calls."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", value):
        raise MistakeError(
            "is not a URL", "write it as the service shows it, as in https://hooks.example.org/abc"
        )
    return value


def heartbeat_url(value: str) -> str:
    """A URL, or nothing."""
    return value and http_url(value)


def receiver_name(value: str) -> str:
    """A name for labels and files."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value) or value in ("heartbeat", "nobody"):
        raise MistakeError(
            "is not the name of a receiver",
            "write small letters, digits and hyphens, as in chat; not heartbeat",
        )
    return value


def mail_address(value: str) -> str:
    """One or more addresses of mail."""
    if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", one.strip()) for one in value.split(",")):
        raise MistakeError("is not an address of mail", "write as in ops@example.org, several with commas")
    return value


def smtp_server(value: str) -> str:
    """Host and port of an SMTP server."""
    if not re.fullmatch(r"(\[[0-9a-f:]+\]|[^\s:]+):\d+", value):
        raise MistakeError("is not HOST:PORT", "write as in mail.example.org:587")
    return value


class Receiver(Strict):
    """Somebody who is told of alerts, by exactly one of `webhook_url`, `slack_url` and `mail_to`."""

    name: Annotated[str, AfterValidator(receiver_name)] = key("Name of the receiver.", "text", "chat")
    severities: list[Severity] = key(
        "What it is told: `page` (now), `warning` (today), `notice` (a release is live, or was undone).",
        "list of severities",
        ["page"],
        ["page", "warning", "notice"],
        min_length=1,
    )
    webhook_url: Annotated[str, AfterValidator(http_url)] | None = key(
        "URL to which Alertmanager posts its JSON. A secret.", "URL", "{{ vault_webhook_url }}", None
    )
    slack_url: Annotated[str, AfterValidator(http_url)] | None = key(
        "URL of an incoming webhook of Slack, Mattermost, Rocket.Chat or Matrix (hookshot). A secret.",
        "URL",
        "{{ vault_slack_url }}",
        None,
    )
    slack_channel: str | None = key(
        "Channel, instead of that of the webhook.", "text", "#operations", None, min_length=1
    )
    mail_to: Annotated[str, AfterValidator(mail_address)] | None = key(
        "Address of mail, or several with commas.", "address", "ops@example.org", None
    )
    mail_from: Annotated[str, AfterValidator(mail_address)] | None = key(
        "Address of the sender. With `mail_to`.", "address", "farrier@example.org", None
    )
    mail_server: Annotated[str, AfterValidator(smtp_server)] | None = key(
        "SMTP server that takes the mail. With `mail_to`.", "HOST:PORT", "mail.example.org:587", None
    )
    mail_user: str | None = key("User of the SMTP server.", "text", "farrier", None, min_length=1)
    mail_password: str | None = key(
        "Password of the user. A secret.", "text", "{{ vault_mail_password }}", None, min_length=1
    )
    mail_tls: bool = key("Whether the SMTP server has to encrypt.", "true or false", False, True)

    @model_validator(mode="after")
    def _one_way(self) -> Receiver:
        ways = [way for way in _WAYS if getattr(self, way) is not None]
        if len(ways) != 1:
            what = f"has {' and '.join(ways)}" if ways else "has no way to be told"
            raise MistakeError(what, "write one of webhook_url, slack_url and mail_to")
        mail = ("mail_from", "mail_server")
        if self.mail_to and (missing := [one for one in mail if getattr(self, one) is None]):
            raise MistakeError(f"has mail_to without {' and '.join(missing)}", f"add {missing[0]}")
        of_mail = (*mail, "mail_user", "mail_password")
        strays = [one for one in of_mail if not self.mail_to and getattr(self, one) is not None]
        strays += ["slack_channel"] if self.slack_channel and not self.slack_url else []
        if strays:
            raise MistakeError(f"has {strays[0]}, which is of no use to it", f"remove {strays[0]}")
        if (self.mail_user is None) != (self.mail_password is None):
            raise MistakeError("has one of mail_user and mail_password", "write both, or neither")
        return self


class Monitoring(Strict):
    """Variables of the host of the group `monitor`. See [monitoring.md](monitoring.md)."""

    monitoring_receivers: list[Receiver] = key(
        "Who is told of alerts.",
        "list of mappings",
        [{"name": "chat", "slack_url": "https://hooks.example.org/abc"}],
        [],
    )
    monitoring_heartbeat_url: Annotated[str, AfterValidator(heartbeat_url)] = key(
        "URL of a dead man's switch, which tells you when it is no longer called. A secret.",
        "URL",
        "https://switch.example.org/abc",
        "",
    )
    monitoring_retention_days: int = key("Age of the oldest metrics.", "number of days", 90, 30, ge=1)
    monitoring_retention_mb: int = key(
        "Size of all metrics. The run stops if the disk has less.", "number of MB", 20_000, 4096, ge=512
    )


def monitor_problems(groups: Mapping[str, list[str]], hosts: Mapping[str, HostView]) -> list[Problem]:
    """Return every mistake that concerns monitoring.

    Args:
        groups: Hosts by group.
        hosts: Every host of the kit's groups.
    """
    monitors = groups.get("monitor", [])
    if not monitors:
        return [*_unused(hosts)]
    found = [problem for host in monitors[:1] for problem in _setting_problems(host, hosts[host])]
    return [*_group_problems(monitors), *_address_problems(monitors, hosts), *found]


def _unused(hosts: Mapping[str, HostView]) -> Iterator[Problem]:
    given = {
        name: view for view in hosts.values() for name in view.variables if name in Monitoring.model_fields
    }
    for name, view in given.items():
        what = "is set, but the group monitor has no host, so nobody is told of anything"
        fix = "put the host that watches all into the group monitor"
        yield Problem("group monitor", name, "", what, fix, view.setting_location(name), is_warning=True)


def _group_problems(monitors: list[str]) -> Iterator[Problem]:
    if len(monitors) > 1:
        what = f"has {len(monitors)} hosts ({', '.join(monitors)}), and one watches all"
        fix = f"leave one of them: {monitors[0]}. Who watches the monitor: monitoring_heartbeat_url"
        yield Problem("group monitor", "", "", what, fix)


def _setting_problems(host: str, view: HostView) -> Iterator[Problem]:
    own = {name: value for name, value in view.settings.items() if name in Monitoring.model_fields}
    for problem in model_problems("group monitor", Monitoring, own):
        problem.hosts, problem.location = [host], view.setting_location(problem.key)
        yield problem
    receivers = own.get("monitoring_receivers")
    names: set[object] = set()
    for index, one in enumerate(receivers if isinstance(receivers, list) else []):
        name = one.get("name") if isinstance(one, Mapping) else None
        if name is not None and name in names:
            where = f"monitoring_receivers[{index}].name"
            what, fix = "is also the name of an earlier receiver", "give each receiver a name of its own"
            yield Problem(
                "group monitor", where, f'"{name}"', what, fix, view.setting_location(where), [host]
            )
        names.add(name)


def _address_problems(monitors: list[str], hosts: Mapping[str, HostView]) -> Iterator[Problem]:
    """Find hosts that cannot reach each other; one that watches itself alone needs no address."""
    for host, view in hosts.items() if len(hosts) > 1 else ():
        why = "let in by the hosts that it watches" if host in monitors else "asked by the monitor"
        try:
            resolved_address(host, view.settings)
        except MistakeError as mistake:
            yield without_address(host, view, mistake, f"the host is {why} at this address")
