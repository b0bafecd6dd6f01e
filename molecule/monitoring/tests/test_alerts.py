"""Each alert rings by its cause, reaches who is to be told, and falls silent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from conftest import ADDRESS, DOMAIN, INVENTORY, Alert, Hook, changed_app, query, wait_for
from testinfra.host import Host

from tests.harness.deploys import run
from tests.harness.outside import Outside

TEXTFILES = "/var/lib/prometheus/node-exporter"
CERTIFICATE = "/etc/farrier/tls/notes/fullchain.pem"
KILL = (
    "farrier-release --app notes status --json | jq '.workers[] | select(.state == \"ready\").pid'"
    " | xargs kill -KILL"
)
# What a container cannot do, or this inventory does not have: HELP, labels and value of each metric.
MADE_UP = {
    "farrier_backup_timestamp_seconds": ("", 'name="old"', "1"),
    "farrier_backup_proof_timestamp_seconds": ("", 'name="old"', "1"),
    "farrier_backup_problem": ("", 'name="old"', "1"),
    "farrier_deploy_timestamp_seconds": (
        "The last of them.",
        'app="made-up",result="undone"',
        "$(date +%s)",
    ),
    "pg_replication_lag_seconds": ("", 'app="made-up"', "400"),
    "redis_up": ("", 'app="made-up"', "0"),
    "node_memory_MemAvailable_bytes": (
        "Memory information field MemAvailable_bytes.",
        'app="made-up"',
        "5",
    ),
    "node_memory_MemTotal_bytes": ("Memory information field MemTotal_bytes.", 'app="made-up"', "100"),
    "node_time_seconds": ("System time in seconds since epoch (1970).", 'app="made-up"', "1"),
}
MADE_UP_FILE = "".join(
    f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{name}{{{labels}}} {value}\n"
    for name, (meaning, labels, value) in MADE_UP.items()
)


@dataclass(frozen=True)
class Cause:
    """What makes alerts ring on a host, and what ends it."""

    host: str
    do: str
    undo: str
    alerts: tuple[Alert, ...]


CAUSES = (
    Cause(
        "watch12", "touch /run/reboot-required", "rm /run/reboot-required", (("RebootPending", "watch12"),)
    ),
    Cause(
        "watch12",
        "head -c 1000k /dev/zero > /srv/full/x",
        "rm /srv/full/x",
        (("DiskFull", "watch12"),),
    ),
    Cause(
        "watch12",
        f"cp {CERTIFICATE} /root/kept.pem && openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=x"
        f" -keyout /dev/null -out {CERTIFICATE} 2> /dev/null",
        f"cp /root/kept.pem {CERTIFICATE}",
        (("CertificateEnds", "notes"),),
    ),
    Cause(
        "watch12",
        "touch /etc/nginx/drained/elsewhere.lab.test",
        "rm /etc/nginx/drained/elsewhere.lab.test",
        (("HostDrained", "elsewhere.lab.test"),),
    ),
    Cause(
        "watch12",
        "systemctl stop prometheus-nginx-exporter",
        "systemctl start prometheus-nginx-exporter",
        (("MetricsMissing", "watch12"),),
    ),
    Cause(
        "watch13", "systemctl stop postgresql", "systemctl start postgresql", (("PostgresqlDown", "watch13"),)
    ),
    Cause(
        "watch12",
        f"cat > {TEXTFILES}/made_up.prom << END\n{MADE_UP_FILE}END\n",
        f"rm {TEXTFILES}/made_up.prom",
        (
            *((name, "old") for name in ("BackupTooOld", "BackupNotProven", "BackupProblem")),
            *((name, "made-up") for name in ("ReplicaBehind", "ValkeyDown", "MemoryLow", "ClockOff")),
        ),
    ),
)
OF_THE_APP = tuple((name, "notes") for name in ("AppErrors", "AppSlow", "EventLoopBlocked", "AppRestarts"))
NEWS = (("ReleaseUndone", "made-up"), ("ReleaseLive", "notes"))
DOWN = (("HostDown", "watch13"), ("WorkersMissing", "notes"), ("AppDown", "notes"))
RINGING = (*(alert for cause in CAUSES for alert in cause.alerts), *OF_THE_APP)


@contextmanager
def requests(*queries: str) -> Iterator[None]:
    """Meanwhile, clients ask the app like that, each one after the other."""
    ends = threading.Event()

    def ask(query: str) -> None:
        while not ends.wait(0.3):
            Outside(ADDRESS).https(DOMAIN, f"/answer?{query}")

    threads = [threading.Thread(target=ask, args=(query,)) for query in queries]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def told(
    hook: Hook, serving: Host, monitor: Host, tmp_path_factory: pytest.TempPathFactory
) -> dict[Alert, set[str]]:
    """What the receiver is told while everything goes wrong at once."""
    hosts = {"watch12": serving, "watch13": monitor}
    began = len(hook.messages())
    changed = changed_app(tmp_path_factory.mktemp("changed") / "application")
    deployed = run(INVENTORY, "deploy", app="notes", apps=[changed])
    assert not deployed.failed, deployed.output
    outside = Outside(ADDRESS)
    try:
        for cause in CAUSES:
            hosts[cause.host].check_output(cause.do)
        # A worker that dies sooner undoes the deploy.
        hook.wait({("ReleaseLive", "notes")}, "firing", began)
        wait_for(lambda: query(monitor, "farrier_deploy_under_way == 0"), lambda: "the deploy is under way")
        serving.check_output(KILL)
        wait_for(lambda: outside.https(DOMAIN, "/answer").status == 200, lambda: "no answer")
        outside.https(DOMAIN, "/answer?blocked=1.3")
        with requests("status=500", "status=500", "seconds=1.5", "seconds=1.5"):
            hook.wait({*RINGING, *NEWS}, "firing", began)
    finally:
        for cause in CAUSES:
            hosts[cause.host].run(cause.undo)
    return hook.alerts(began)


@pytest.mark.parametrize("alert", [*RINGING, *NEWS], ids=str)
def test_alert_rings(told: dict[Alert, set[str]], alert: Alert) -> None:
    """By its cause."""
    assert "firing" in told[alert]


def test_nothing_else_has_rung(told: dict[Alert, set[str]]) -> None:
    """What goes wrong beside does not count as another thing."""
    assert set(told) == {*RINGING, *NEWS}


def test_maintenance_mode_silences_an_app_that_is_down(
    told: dict[Alert, set[str]], hook: Hook, serving: Host, monitor: Host
) -> None:
    """And so does a host that is down the rest of what is to be told of it."""
    serving.check_output("touch /etc/nginx/maintenance/notes")
    # Otherwise nobody would be told, since all of the host falls silent.
    hook.wait({("PostgresqlDown", "watch13")}, "resolved")
    wait_for(lambda: query(monitor, "farrier_maintenance == 1"), lambda: "no maintenance")
    serving.check_output("systemctl stop notes.socket notes.service")
    monitor.check_output("systemctl stop prometheus-node-exporter")
    hook.wait(set(DOWN[:2]), "firing")
    wait_for(lambda: query(monitor, "max_over_time(probe_success[20s]) == 0"), lambda: "the app answers")
    assert query(monitor, 'ALERTS{alertname="AppDown"}') == []
    assert ("AppDown", "notes") not in hook.alerts()

    serving.check_output("rm /etc/nginx/maintenance/notes")
    hook.wait({("AppDown", "notes")}, "firing")
    serving.check_output("systemctl start notes.socket notes.service")
    monitor.check_output("systemctl start prometheus-node-exporter")


@pytest.mark.parametrize("alert", [*RINGING, *DOWN], ids=str)
def test_alert_falls_silent(told: dict[Alert, set[str]], hook: Hook, alert: Alert) -> None:
    """When its cause is gone."""
    hook.wait({alert}, "resolved")
    assert hook.alerts()[alert] == {"firing", "resolved"}


@pytest.mark.parametrize("alert", NEWS, ids=str)
def test_news_are_told_once(told: dict[Alert, set[str]], hook: Hook, alert: Alert) -> None:
    """Nobody is told that they are news no longer."""
    assert hook.alerts()[alert] == {"firing"}


def test_dead_mans_switch_is_called(hook: Hook) -> None:
    """Again and again."""

    def calls() -> int:
        paths = [message["path"] for message in hook.messages() if message["status"] == "firing"]
        return paths.count("/heartbeat/canary-4712")

    before = calls()
    wait_for(lambda: calls() >= before + 2, lambda: f"{calls() - before} calls")
