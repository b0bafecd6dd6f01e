"""Each metric of the kit says what was done to a host, as the monitor is told, and nobody else is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ADDRESS, DOMAIN, INVENTORY, changed_app
from testinfra.host import Host

from tests.harness.deploys import run
from tests.harness.outside import Outside

# It kills a worker and the service, which rings for a while.
RUNS_LAST = True
# The kit's metrics are written every ten seconds, and so is what a worker says of itself.
PATIENCE_SECONDS = 90.0

Metrics = dict[str, float]


def asked(monitor: Host, exporter: str) -> Metrics:
    """What an exporter tells the monitor, by name and labels."""
    lines = monitor.check_output(f"curl -sf --max-time 10 http://{exporter}/metrics").splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def wait_for(monitor: Host, condition: Callable[[Metrics], bool], meant: str) -> Metrics:
    """The metrics of the app host, once they are as they should be."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = asked(monitor, f"{ADDRESS}:9100")
        if condition(found):
            return found
        kit = "\n".join(f"{name} {value:g}" for name, value in found.items() if name.startswith("farrier_"))
        assert time.monotonic() < deadline, f"waited in vain: {meant}\n{kit}"
        time.sleep(1)


def grown(before: Metrics, after: Metrics, start: str, end: str = "") -> float:
    """By how much counters have grown whose names and labels begin and end like that."""
    names = [name for name in after if name.startswith(start) and name.endswith(end)]
    return sum(after[name] - before.get(name, 0.0) for name in names)


def live_release(metrics: Metrics) -> str:
    """The release of the app that is live."""
    (name,) = [name for name in metrics if name.startswith("farrier_release_info")]
    return name.partition('release="')[2].partition('"')[0]


@pytest.fixture(scope="module")
def caused(serving: Host, monitor: Host) -> Iterator[tuple[Metrics, Metrics]]:
    """The metrics before, and after all of this: they are written seldom, so all of it happens at once."""
    before = wait_for(
        monitor, lambda found: 'farrier_workers_wanted{app="notes"}' in found, "the app is told"
    )
    outside = Outside(ADDRESS)
    for status in (200, 500, 500, 404):
        assert outside.https(DOMAIN, f"/answer?status={status}").status == status
    assert outside.https(DOMAIN, "/answer?seconds=0.3").status == 200
    worker = serving.check_output("ls /run/farrier/notes/workers").removesuffix(".json")
    serving.check_output(f"kill -STOP {worker} && sleep 2 && kill -CONT {worker}")
    marks = "/etc/nginx/drained/elsewhere.lab.test /etc/nginx/maintenance/notes /run/reboot-required"
    serving.check_output(f"touch {marks}")
    assert outside.https(DOMAIN, "/answer").status == 503
    try:
        after = wait_for(
            monitor,
            lambda found: (
                found["farrier_reboot_required"] == 1
                and found.get('farrier_worker_loop_lag_seconds{app="notes",worker="0"}', 0) > 1
                and grown(before, found, "farrier_http_requests_total") >= 6
            ),
            "what was done is told",
        )
        yield before, after
    finally:
        serving.check_output(f"rm {marks}")


def test_requests_are_counted_by_release_and_answer(caused: tuple[Metrics, Metrics]) -> None:
    """Those that nginx has answered itself have no release; the monitor's probes are among them."""
    before, after = caused
    of_release = f',release="{live_release(after)}"}}'
    counts = {
        code: grown(before, after, f'farrier_http_requests_total{{app="notes",code="{code}"', of_release)
        for code in (404, 500)
    }
    assert counts == {404: 1, 500: 2}
    assert grown(before, after, 'farrier_http_requests_total{app="notes",code="503",release=""}') >= 1


def test_durations_are_counted(caused: tuple[Metrics, Metrics]) -> None:
    """One request has taken 0.3 s."""
    before, after = caused
    total, quick = (
        f'farrier_http_request_duration_seconds_bucket{{app="notes",release="{live_release(after)}",le="{bound}"}}'
        for bound in ("+Inf", "0.25")
    )
    assert after[total] - after[quick] - (before[total] - before[quick]) >= 1


def test_blocked_event_loop_is_told(caused: tuple[Metrics, Metrics]) -> None:
    """For how long it was blocked: 2 s."""
    before, after = caused
    name = 'farrier_worker_loop_lag_seconds{app="notes",worker="0"}'
    assert before.get(name, 0) < 1 < after[name] < 4


def test_what_is_taken_out_of_service_is_told(caused: tuple[Metrics, Metrics]) -> None:
    """And that it is back."""
    before, after = caused
    assert 'farrier_drained{host="elsewhere.lab.test"}' not in before
    assert after['farrier_drained{host="elsewhere.lab.test"}'] == 1
    maintenance = 'farrier_maintenance{app="notes"}'
    assert [before[maintenance], after[maintenance]] == [0, 1]
    assert [before["farrier_reboot_required"], after["farrier_reboot_required"]] == [0, 1]


def test_processes_are_told_as_the_kernel_has_them(caused: tuple[Metrics, Metrics], serving: Host) -> None:
    """Memory that a worker has, and when the certificate ends that nginx serves."""
    _, after = caused
    assert 5e6 < after['farrier_worker_memory_bytes{app="notes",worker="0"}'] < 5e8
    assert (
        after['farrier_workers{app="notes",state="ready"}']
        == after['farrier_workers_wanted{app="notes"}']
        == 1
    )
    shown = serving.check_output(
        'date +%s -d "$(openssl x509 -noout -enddate -in /etc/farrier/tls/notes/fullchain.pem | cut -d= -f2)"'
    )
    assert after['farrier_certificate_expiry_timestamp_seconds{name="notes"}'] == float(shown)


def test_no_part_has_failed(caused: tuple[Metrics, Metrics], serving: Host, monitor: Host) -> None:
    """On either host, and the service has said nothing."""
    _, after = caused
    parts = {name: value for name, value in after.items() if name.startswith("farrier_metrics_errors")}
    assert {f'farrier_metrics_errors{{part="{part}"}}' for part in ("workers", "requests", "reboot")} <= set(
        parts
    )
    assert set(parts.values()) == {0}
    database = asked(monitor, "127.0.0.1:9100")
    assert database["farrier_postgresql_primary"] == 1
    assert database['farrier_metrics_errors{part="postgresql"}'] == 0
    assert serving.check_output("journalctl --quiet --unit=farrier-metrics --grep=Error || true") == ""


def test_deaths_and_restarts_are_counted(serving: Host, monitor: Host) -> None:
    """Of a worker that the kernel has killed, and then of the service with all of them."""
    before = asked(monitor, f"{ADDRESS}:9100")
    deaths, restarts = (
        'farrier_worker_deaths_total{app="notes"}',
        'farrier_service_restarts_total{app="notes",unit="notes.service"}',
    )
    serving.check_output("kill -KILL $(basename /run/farrier/notes/workers/*.json .json)")
    wait_for(monitor, lambda found: found.get(deaths) == before[deaths] + 1, "a worker has died")
    serving.check_output("systemctl kill --signal=KILL notes.service")
    wait_for(monitor, lambda found: found.get(restarts) == before[restarts] + 1, "the service was restarted")


def test_deploy_and_rollback_are_told(monitor: Host, tmp_path: Path) -> None:
    """What is live, and since when."""
    before = asked(monitor, f"{ADDRESS}:9100")
    deployed = run(INVENTORY, "deploy", app="notes", apps=[changed_app(tmp_path / "application")])
    assert not deployed.failed, deployed.output
    second = wait_for(
        monitor, lambda found: live_release(found) != live_release(before), "another one is live"
    )
    total, since = "farrier_deploys_total", 'farrier_release_live_timestamp_seconds{app="notes"}'
    assert grown(before, second, f'{total}{{app="notes",result="live"}}') == 1
    assert second[since] > before[since]
    rolled_back = run(INVENTORY, "rollback", app="notes")
    assert not rolled_back.failed, rolled_back.output
    found = wait_for(
        monitor, lambda found: live_release(found) == live_release(before), "the first one is live"
    )
    assert grown(second, found, f'{total}{{app="notes",result="rolled_back"}}') == 1


def test_exporters_reach_their_servers(monitor: Host) -> None:
    """nginx of one host, and PostgreSQL of the other."""
    assert asked(monitor, f"{ADDRESS}:9113")["nginx_up"] == 1
    assert asked(monitor, "127.0.0.1:9187")["pg_up"] == 1


@pytest.mark.parametrize("port", [9100, 9113])
def test_nobody_but_the_monitor_is_told(serving: Host, port: int) -> None:
    """The kernel drops what comes from another address, that of the host itself among them."""
    assert serving.run(f"curl -s --max-time 2 http://{ADDRESS}:{port}/metrics").rc == 28


def test_who_writes_the_metrics_can_do_little_else(serving: Host) -> None:
    """It has no network, and may write in one directory."""
    pid = serving.check_output("systemctl show --value --property=MainPID farrier-metrics")
    interfaces = serving.check_output(f"nsenter --target {pid} --net ip -brief link").splitlines()
    assert [line.split()[0] for line in interfaces] == ["lo"]
    for directory in ("/etc", "/usr", "/srv", "/var/lib"):
        assert serving.run(f"nsenter --target {pid} --mount touch {directory}/x").failed
    bounding = serving.check_output(f"grep CapBnd /proc/{pid}/status").split()[1]
    assert int(bounding, 16) == 1 << 2  # CAP_DAC_READ_SEARCH
