"""Requests that fail, and a host on which all do, are not the end of a site."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from fleet_under_load import DOMAIN, OUTAGE, Fleet

from tests.harness.load.innocents import Site, beside_offenders
from tests.harness.load.misbehaving import SICK
from tests.harness.load.offenders import EVERY_WAY, RAISE_AFTER, Offenders
from tests.harness.load.target import make_target
from tests.harness.outside import authority

SCENARIO = Path(__file__).parents[1]
SECONDS = 10.0
SICK_HOST = "app2"


def beside(fleet: Fleet, ways: tuple[str, ...], per_second: float) -> None:
    addresses = [edge.address for edge in fleet.edges.values()]
    site = Site(DOMAIN, addresses, authority(SCENARIO))
    report, outcomes = beside_offenders(site, ways, per_second=per_second, seconds=SECONDS)
    print(f"{report.failed} of {report.requests} innocent requests failed; the others: {outcomes}")
    assert outcomes.total() > SECONDS * per_second / 2
    assert report.failed == 0, report.failures


def test_requests_that_fail_take_no_others_with_them(fleet: Fleet) -> None:
    """Each would count against its host, until no host is left."""
    fleet.begin("requests that fail")
    for ways, per_second in ((RAISE_AFTER, 300.0), (EVERY_WAY, 75.0)):
        beside(fleet, ways, per_second)
    fleet.check_nothing_was_lost()


def asked(fleet: Fleet) -> Counter[str]:
    """What clients get who ask for a path that no host has."""
    addresses = [edge.address for edge in fleet.edges.values()]
    target = make_target(f"https://{DOMAIN}", ca=str(authority(SCENARIO)), resolve={DOMAIN: addresses})
    with Offenders(target, ("nothing",), per_second=100.0) as clients:
        time.sleep(SECONDS)
    return clients.outcomes


def test_a_host_that_answers_500_to_everything_loses_its_share_alone(fleet: Fleet) -> None:
    """An answer is an answer: the edge neither says 502 nor gives up on anybody."""
    fleet.begin(f"{OUTAGE}{SICK_HOST} is sick")
    host = fleet.apps[SICK_HOST].host
    sick = f"/var/lib/farrier/{fleet.apps[SICK_HOST].app}/{SICK}"
    host.check_output(f"touch {sick}")
    try:
        outcomes = asked(fleet)
    finally:
        host.check_output(f"rm {sick}")
    print(outcomes)
    # A second is little on a machine that has other work.
    assert outcomes.pop("given up", 0) < outcomes.total() / 20
    assert set(outcomes) == {"404", "500"}
    assert outcomes["404"] > outcomes.total() / 2
    fleet.begin("nobody is sick")
    assert set(asked(fleet)) <= {"404", "given up"}
    fleet.check_nothing_was_lost()
