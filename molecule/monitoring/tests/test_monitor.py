"""The monitor: who reaches it, whom it tells, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import INVENTORY, Hook, query, wait_for
from testinfra.host import Host

from tests.harness import alert_rules
from tests.harness.connections import SSH_CONFIG, reached
from tests.harness.deploys import run

SCENARIO = Path(__file__).resolve().parents[1]
RULES_TEST = SCENARIO / "tests/rules_test.yml"
SERVICES = ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter")
RUNS_LAST = True


@pytest.mark.parametrize("name", ["watch12", "watch13"])
def test_rules_ring_by_their_thresholds(name: str) -> None:
    """As promtool of either Debian understands them."""
    host = reached(name)
    host.check_output("mkdir -p /root/rules")
    for file, content in {"rules.yml": alert_rules.text(), "rules_test.yml": RULES_TEST.read_text()}.items():
        host.check_output(f"cat > /root/rules/{file} << 'END OF FILE'\n{content}\nEND OF FILE\n")
    tested = host.run("cd /root/rules && promtool test rules rules_test.yml")
    assert tested.rc == 0, tested.stdout + tested.stderr


def test_nobody_else_reaches_it(monitor: Host) -> None:
    """All listen on the loopback interface alone, and have bounds."""
    ports = monitor.check_output("ss -Hltn | awk '{print $4}' | grep -E ':(9090|909[34]|9115)$'").splitlines()
    assert sorted(ports) == ["127.0.0.1:9090", "127.0.0.1:9093", "127.0.0.1:9115"]
    for unit, most in zip(SERVICES, (1024, 128, 64), strict=True):
        shown = monitor.check_output(f"systemctl show --property=MemoryMax,MemoryHigh,MainPID {unit}")
        found = dict(line.split("=") for line in shown.splitlines())
        assert int(found["MemoryMax"]) == most * 2**20
        assert int(found["MemoryHigh"]) == most * 9 // 10 * 2**20
        used = int(monitor.check_output(f"ps -o rss= -p {found['MainPID']}"))
        print(f"{unit}: {used // 1024} MB")
        assert used < most * 1024


def test_operator_reaches_it_by_a_tunnel() -> None:
    """Through the hardened SSH server."""
    request = "GET /api/v1/status/buildinfo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    tunnel = ["ssh", "-F", str(SSH_CONFIG), "-W", "127.0.0.1:9090", "watch13"]
    answer = subprocess.run(tunnel, input=request, check=True, capture_output=True, text=True)
    assert answer.stdout.startswith("HTTP/1.1 200 ")


def test_receiver_that_does_not_answer_fails_the_run(hook: Hook, monitor: Host) -> None:
    """All that do not are told, with the reason and without a secret; the others go on."""
    before = monitor.check_output("md5sum /etc/prometheus/farrier/alertmanager.yml")
    address = "http://10.77.77.163"
    receivers = [
        {"name": "hook", "webhook_url": f"{address}:8123/hook/canary-4713"},
        {"name": "chat", "slack_url": f"{address}:8123/refused/canary-4714"},
        {
            "name": "mail",
            "mail_to": "ops@lab.test",
            "mail_from": "farrier@lab.test",
            "mail_server": "10.77.77.163:25",
            "mail_user": "farrier",
            "mail_password": "canary-4715",
        },
    ]
    failed = run(INVENTORY, "site", ["--tags=monitoring", "-vvv", "--diff"], monitoring_receivers=receivers)
    assert failed.failed
    assert "chat: " in failed.output
    assert "unexpected status code 404" in failed.output
    assert "mail: " in failed.output
    assert "hook: " not in failed.output
    assert "canary" not in failed.output.replace(json.dumps(receivers)[1:-1], "")
    assert monitor.check_output("md5sum /etc/prometheus/farrier/alertmanager.yml") == before
    tests = [message for message in hook.messages() if message["path"] == "/hook/canary-4713"]
    assert [one["labels"]["alertname"] for message in tests for one in message["alerts"]] == ["ReceiverTest"]


def test_upgrade_is_silent(monitor: Host) -> None:
    """What a host takes with it is silent as long as it takes, and five minutes more at most."""
    upgraded = run(INVENTORY, "upgrade", ["--limit=watch12"], reboot="never")
    assert not upgraded.failed, upgraded.output
    silences = json.loads(monitor.check_output("amtool silence query --output=json"))
    matchers = {f"{one['name']}={one['value']}" for silence in silences for one in silence["matchers"]}
    assert matchers == {"instance=watch12", "host=watch12", "app=notes"}
    left = monitor.check_output("date -d '6 minutes' --utc +%FT%T")
    assert all(silence["endsAt"] < left for silence in silences)


def test_monitor_without_disk_is_refused() -> None:
    """Before anything changes, with the fix."""
    refused = run(INVENTORY, "site", ["--limit=watch13"], monitoring_retention_mb=10**8)
    assert refused.failed
    assert "write a smaller monitoring_retention_mb" in " ".join(refused.output.split())
    assert "changed=0" in refused.output


def test_single_machine_watches_itself(hook: Hook, serving: Host) -> None:
    """On the other Debian. It asks its exporters at the loopback interface, and tells the same receiver."""
    began = len(hook.messages())
    alone = run(SCENARIO / "alone", "site", ["--tags=metrics,monitoring"])
    assert not alone.failed, alone.output
    assert any(message["path"].startswith("/hook/") for message in hook.messages()[began:])
    wait_for(lambda: len(query(serving, "up == 1")) == 5, lambda: str(query(serving, "up")))
    again = run(SCENARIO / "alone", "site", ["--tags=metrics,monitoring"])
    assert "changed=0" in again.output, again.output
