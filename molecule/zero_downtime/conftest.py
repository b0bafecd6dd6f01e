"""The run that the tests of this scenario ask about: it happens once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from recorded_run import (
    CALM_PER_SECOND,
    DEPLOYS,
    RELOADS,
    RELOADS_OF_SLOW_APP,
    REQUESTS,
    RecordedRun,
    Site,
)
from testinfra.host import Host

from tests.harness.deploys import AppHost
from tests.harness.load import Load, Report
from tests.harness.load.innocents import Site as Asked
from tests.harness.outside import Outside, authority

SCENARIO = Path(__file__).parent
DOMAIN = "zero.lab.test"

RENEWAL = (
    "env $(systemctl show --property=Environment --value certbot.service)"
    " certbot renew --cert-name observatory --force-renewal --no-random-sleep-on-renew"
)
# The longest that a worker may drain, and a little more.
SETTLED_WITHIN_SECONDS = 65.0


def address(host: Host) -> str:
    """Where the world finds the host."""
    return host.check_output(f"getent ahostsv4 {DOMAIN} | head -n 1 | cut -d' ' -f 1")


def load_on(host: Host, domain: str, name: str, **options: float) -> Load:
    """The load harness on a domain of the host."""
    return Load(
        f"https://{domain}",
        ca=authority(SCENARIO),
        resolve={domain: address(host)},
        name=name,
        # The test ends it; these are for a test that does not.
        seconds=3000,
        requests=10 * REQUESTS,
        **options,
    )


def worker_processes(host: Host) -> int:
    """Number of processes that the app's master has started and that have not ended."""
    master = host.check_output("systemctl show --property=MainPID --value observatory.service")
    return len(host.check_output(f"cat /proc/{master}/task/{master}/children").split())


def settled_worker_processes(host: Host, wanted: int) -> int:
    """Number of worker processes, `wanted` or what there is when that takes too long."""
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while (found := worker_processes(host)) != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


@pytest.fixture(scope="session")
def asked_site(host: Host) -> Asked:
    """Where innocents and offenders ask."""
    return Asked(DOMAIN, [address(host)], authority(SCENARIO))


@pytest.fixture(scope="session")
def recorded_run(host: Host) -> RecordedRun:
    """All that is done to the site, in one go; each test asks one thing about it."""
    workers_before = worker_processes(host)
    clients = load_on(host, DOMAIN, "zero_downtime", rate=CALM_PER_SECOND, downloads=0)
    # Apart from the others, whose slowest request counts.
    downloads = load_on(host, DOMAIN, "zero_downtime_downloads", connections=0, websockets=0, events=0)
    outside = Outside(address(host), authority(SCENARIO))
    site = Site(AppHost(host, "zero", "observatory"), outside, DOMAIN, SCENARIO / "inventory", clients)
    with clients:
        with downloads:
            for number in range(1, DEPLOYS + 1):
                version = "blue" if number % 2 else "green"
                site.deploy(f"deploy {number}", version)
            for number in range(DEPLOYS + 1, RELOADS + 1):
                site.command(f"reload {number}", "systemctl reload observatory.service")
            site.deploy("dependencies", "dependencies")
            site.roll_back("rollback", "green")
            site.command("nginx reload", "systemctl reload nginx.service")
            site.command("certificate renewal", RENEWAL)
            site.wait_for_recycling("recycling")
            site.deploy("server package", "server")
            site.roll_back("rollback of that", "green")
            seen_by_downloads = downloads.stop()
        site.wait_for_requests("the rest", REQUESTS)
        seen_by_clients = clients.stop()
    print(seen_by_clients, seen_by_downloads, sep="\n")
    workers_after = settled_worker_processes(host, workers_before)
    told = RecordedRun(site.steps, seen_by_clients, seen_by_downloads, workers_before, workers_after)
    for label in ("server package", "rollback of that"):
        boot_seconds = told.step(label).attempt["seconds"]["rehearse"]
        print(
            f"{label}: slowest {told.slowest_milliseconds(label):.0f} ms,"
            f" longest gap {told.gap_seconds(label):.2f} s, for an app that starts in {boot_seconds:.2f} s"
        )
    return told


@pytest.fixture(scope="session")
def reloads_of_slow_app(host: Host) -> Report:
    """What clients saw of an app that imports for three seconds, while it was reloaded again and again."""
    with load_on(host, "slow.lab.test", "zero_downtime_slow", rate=500) as load:
        load.wait_for_requests(500)
        for number in range(1, RELOADS_OF_SLOW_APP + 1):
            load.mark(f"reload {number}")
            host.check_output("systemctl reload slow.service")
        load.mark("after")
        load.wait_for_requests(500)
        report = load.stop()
    print(report)
    return report
