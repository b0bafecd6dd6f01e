"""Last of all: the host goes down and comes up, and nobody helps."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from tests.harness.machines import shut_down, switch_on

GROUP = "app"
RUNS_LAST = True
ANSWER = "curl --silent --fail --insecure --retry 30 --retry-all-errors --retry-delay 1"


@pytest.fixture(scope="module")
def rebooted(host: Host) -> Host:
    """Return the host after its container was stopped, as a machine is, and started again."""
    name = host.check_output("hostname")
    shut_down(name)
    switch_on(name)
    return host


def test_site_answers_without_anyones_help(rebooted: Host) -> None:
    """A machine that is patched at night must serve in the morning."""
    for app in ("observatory", "second"):
        domain = rebooted.check_output(f"jq --raw-output .health_host /etc/farrier/{app}/release.json")
        answer = rebooted.check_output(f"{ANSWER} --resolve {domain}:443:127.0.0.1 https://{domain}/healthz")
        assert '"status":"ok"' in answer, app


def test_nothing_has_failed(rebooted: Host) -> None:
    """What starts by hand and not at boot shows itself here."""
    assert rebooted.check_output("systemctl is-system-running --wait") == "running"
