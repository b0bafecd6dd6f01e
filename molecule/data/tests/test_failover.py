"""The replica becomes the primary: in order, and after a power cut, while both apps write."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from places import APART, DOMAINS
from testinfra.host import Host

from tests.harness.connections import reached
from tests.harness.deploys import run
from tests.harness.machines import cut_off, switch_on
from tests.harness.meanwhile import repeated
from tests.harness.outside import Outside

RUNS_LAST = True
APP_HOST = "10.77.77.142"
WRITE_SECONDS = 0.15
AGAIN_SECONDS = 60.0
FIRST, SECOND = "data-database", "data-replica"
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Write:
    """A note that was sent, and whether the app has said that it is written."""

    app: str
    text: str
    is_acknowledged: bool
    at: float


def write() -> Write:
    """Write a note by one app and then by the other: psycopg, and SQLAlchemy with asyncpg."""
    number = next(NUMBERS)
    app = list(DOMAINS)[number % 2]
    text = f"write {number}"
    try:
        answer = Outside(APP_HOST).https(DOMAINS[app], "/notes", method="PUT", body=text.encode())
        is_acknowledged = answer.status == 200
    except OSError:
        is_acknowledged = False
    return Write(app, text, is_acknowledged, time.monotonic())


def wait_for_writes(writes: list[Write], count: int = 10) -> None:
    """Wait until so many more are acknowledged."""
    before, deadline = len(writes), time.monotonic() + AGAIN_SECONDS
    while sum(write.is_acknowledged for write in writes[before:]) < count:
        assert time.monotonic() < deadline, writes[-count:]
        time.sleep(0.05)


def query(host: Host, statement: str, database: str = "postgres") -> list[str]:
    """Return the rows of a statement."""
    return host.check_output(f'cd /; runuser -u postgres -- psql -At -d {database} -c "{statement}"').split(
        "\n"
    )


def lost(writes: list[Write], primary: Host) -> list[Write]:
    """Return the acknowledged writes that a primary has not got."""
    kept = {app: set(query(primary, "SELECT text FROM note", app)) for app in DOMAINS}
    return [write for write in writes if write.is_acknowledged and write.text not in kept[write.app]]


def pause_seconds(writes: list[Write]) -> float:
    """Return the longest time without an acknowledged write."""
    times = [write.at for write in writes if write.is_acknowledged]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def is_replica(host: Host) -> bool:
    """Whether it gets what another one writes."""
    return query(host, "SELECT status FROM pg_stat_wal_receiver") == ["streaming"]


def test_a_failover_in_order_loses_nothing(apart: tuple[Host, Host]) -> None:
    """Apps go on without a restart, and the old primary is the replica of the new one."""
    first, app_host = apart
    second = reached(SECOND)
    started = app_host.check_output("systemctl show --value --property=MainPID notes rival-notes")
    dry = run(APART, "database_failover")
    assert not dry.failed, dry.output
    assert f"{SECOND} becomes the primary, and {FIRST} its replica" in dry.output
    assert "add -e confirm=yes" in dry.output
    assert not is_replica(first)
    with repeated(write, every_seconds=WRITE_SECONDS) as writes:
        wait_for_writes(writes)
        failover = run(APART, "database_failover", confirm="yes")
        wait_for_writes(writes)
    assert not failover.failed, failover.output
    print(f"failover in order: writes paused for {pause_seconds(writes):.1f} s")
    assert lost(writes, second) == []
    assert is_replica(first)
    assert query(second, "SHOW synchronous_standby_names") == ["farrier_replica"]
    assert app_host.check_output("systemctl show --value --property=MainPID notes rival-notes") == started


def test_the_roles_of_the_hosts_are_what_was_found_there(apart: tuple[Host, Host]) -> None:
    """A run after a failover changes nothing, whatever the order of the inventory."""
    site = run(APART, "site")
    assert not site.failed, site.output
    assert site.output.count("changed=0") == 3, site.output
    status = run(APART, "status")
    assert not status.failed, status.output
    said = " ".join(status.output.split())
    assert f"On {SECOND}: PostgreSQL 17, primary" in said
    assert f"{FIRST} is 0 bytes behind, and commits wait for it; slot reserved" in said
    assert f"On {FIRST}: PostgreSQL 17, replica" in said
    assert "Valkey of notes" in said


def test_a_dead_primary_takes_no_acknowledged_commit_with_it(apart: tuple[Host, Host]) -> None:
    """Commits have waited for the replica."""
    first, _ = apart
    with repeated(write, every_seconds=WRITE_SECONDS) as writes:
        wait_for_writes(writes)
        cut_off(SECOND)
        failover = run(APART, "database_failover", primary="dead", confirm="yes")
        wait_for_writes(writes)
    assert not failover.failed, failover.output
    assert "None is lost" in failover.output
    print(f"primary killed: writes paused for {pause_seconds(writes):.1f} s")
    assert lost(writes, first) == []


def test_a_primary_that_comes_back_gets_no_writes(apart: tuple[Host, Host]) -> None:
    """It is named, and becomes a replica by order; what it had stays."""
    first, _ = apart
    switch_on(SECOND)
    second = reached(SECOND)
    second.check_output("systemctl start postgresql@17-main.service")
    assert query(second, "SELECT pg_is_in_recovery()") == ["f"]
    writes = [write() for _ in range(6)]
    assert all(write.is_acknowledged for write in writes)
    assert lost(writes, first) == []
    assert lost(writes, second) == writes
    site = run(APART, "site")
    assert site.failed
    said = " ".join(site.output.split())
    assert f"{FIRST} and {SECOND} are both primaries" in said
    assert f"Apps use {FIRST}" in said
    assert "changed: [" not in site.output
    rebuild = run(APART, "database_failover", rebuild=SECOND, confirm="yes")
    assert not rebuild.failed, rebuild.output
    assert is_replica(second)
    second.check_output("ls -d /var/lib/postgresql/17/main.2*/base")
    assert lost(writes, second) == []
