"""What the tests share: the hosts, what others find open on them, and runs of site.yml that only guard."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from testinfra.host import Host

from tests.harness.connections import SSH_CONFIG, reached
from tests.harness.deploys import Run, run

SCENARIO = Path(__file__).resolve().parent
INVENTORY = SCENARIO / "inventory"
ADDRESSES = {"guard12": "10.77.77.160", "guard13": "10.77.77.161", "stranger": "10.77.77.162"}
ADDRESSES6 = {"guard12": "fd77::160", "guard13": "fd77::161"}
SCAN = (SCENARIO / "scan.py").read_text()
T = TypeVar("T")


def guard(*options: str, **variables: Any) -> Run:
    """Run what of site.yml guards the hosts."""
    return run(INVENTORY, "site", ["--tags=guard", *options], **variables)


def open_ports(address: str, *, seen_from: str) -> set[int]:
    """The TCP ports of an address that answer a host."""
    done = subprocess.run(
        ["ssh", "-F", SSH_CONFIG, seen_from, f"sudo python3 - {address}"],
        input=SCAN,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(map(int, done.stdout.split()))


def side_by_side(*work: Callable[[], T]) -> list[T]:
    """Do all of this at once; return what comes of it."""
    with ThreadPoolExecutor() as pool:
        return [future.result() for future in [pool.submit(one) for one in work]]


@pytest.fixture(scope="session")
def audits(edge: Host, database: Host) -> Iterator[list[Future[str]]]:
    """The reports of lynis of both hosts. They come while other tests run: an audit takes half a minute."""
    audit = "lynis audit system --quick --quiet && cat /var/log/lynis-report.dat"
    with ThreadPoolExecutor() as pool:
        yield [pool.submit(host.check_output, audit) for host in (edge, database)]


@pytest.fixture(scope="session")
def edge() -> Host:
    """Return the edge, which has Debian 12."""
    return reached("guard12")


@pytest.fixture(scope="session")
def database() -> Host:
    """Return the host of the database, which has Debian 13."""
    return reached("guard13")


@pytest.fixture(scope="session")
def stranger() -> Host:
    """Return a host that is in no group."""
    return reached("stranger")
