"""What the tests of alerts share: what its receiver was told, and what the monitor sees."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

from tests.harness.connections import reached

INVENTORY = Path(__file__).resolve().parent / "inventory"
ADDRESS, DOMAIN = "10.77.77.163", "notes.lab.test"
MESSAGES = "/var/lib/hook/messages.jsonl"
# Of the bar for each alert: within two minutes of its cause.
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 1.0
# Alert by name and host or app: ("DiskFull", "watch12")
Alert = tuple[str, str]


class Hook:
    """The receiver of webhooks, from now on."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._read = int(host.check_output(f"wc --lines < {MESSAGES}"))
        self._messages: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """What it was sent, oldest first."""
        lines = self._host.check_output(f"tail --lines=+{self._read + 1} {MESSAGES}").splitlines()
        self._read += len(lines)
        self._messages += map(json.loads, lines)
        return self._messages

    def alerts(self, since: int = 0) -> dict[Alert, set[str]]:
        """Each alert that it was told of, and the statuses that it was told.

        Args:
            since: number of messages that are left out.
        """
        found: dict[Alert, set[str]] = {}
        for message in self.messages()[since:]:
            for alert in message["alerts"] if message["path"].startswith("/hook/") else ():
                labels = alert["labels"]
                where = (
                    labels.get("app")
                    or labels.get("name")
                    or labels.get("host")
                    or labels.get("instance", "")
                )
                found.setdefault((labels["alertname"], where), set()).add(alert["status"])
        return found

    def wait(self, wanted: set[Alert], status: str, since: int = 0) -> None:
        """Wait until it was told of all of these."""
        told: set[Alert] = set()

        def are_told() -> bool:
            told.update(alert for alert, known in self.alerts(since).items() if status in known)
            return wanted <= told

        wait_for(are_told, lambda: f"not {status}: {sorted(wanted - told)}")


def wait_for(condition: Callable[[], object], meant: Callable[[], str]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, meant()
        time.sleep(POLL_SECONDS)


def query(monitor: Host, expression: str) -> list[dict[str, Any]]:
    """What Prometheus finds."""
    answer = monitor.check_output(
        "curl -sS --get --data-urlencode %s http://127.0.0.1:9090/api/v1/query", f"query={expression}"
    )
    found: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
    return found


def changed_app(directory: Path) -> dict[str, Any]:
    """The app of the inventory, with a source that is another one: a copy in `directory`, which is made."""
    shutil.copytree(INVENTORY.parent / "application", directory)
    (directory / "changed.txt").write_text(str(directory))
    [app] = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())["apps"]
    return {**app, "source": {"path": str(directory)}}


@pytest.fixture(scope="session")
def serving() -> Host:
    """The host that serves the app; the receiver runs there, too."""
    return reached("watch12")


@pytest.fixture(scope="session")
def monitor() -> Host:
    """The host that watches."""
    return reached("watch13")


@pytest.fixture(scope="session")
def hook(serving: Host) -> Hook:
    """Who is told."""
    return Hook(serving)
