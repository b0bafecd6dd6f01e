"""Seconds of a restore of a database to a moment, against a plain copy of the cluster, in one run.

Usage: python -m tests.benchmarks.restore [MEGABYTES]. Takes a host of its own and removes it. Bar: a cluster
of the moment runs within twice the time of the copy. Into the live cluster, the database goes by a dump.
"""

from __future__ import annotations

import re
import sys
import time

from tests.benchmarks.remote import ROOT, Remote, play

INVENTORY = ROOT / "tests/benchmarks/restore_inventory"
HOST = "restore"
MEGABYTES = 1000
ROWS_PER_MEGABYTE = 850
BAR = 2.0
# Rows of about 1 kB that do not compress to nothing, and an index.
FILL = """
CREATE TABLE filling AS
    SELECT id, (SELECT string_agg(md5(id::text || part), '') FROM generate_series(1, 34) part) AS text
    FROM generate_series(1, {rows}) id;
ALTER TABLE filling ADD PRIMARY KEY (id);
ALTER TABLE filling OWNER TO notes;
"""
SIZE = "SELECT pg_database_size('notes') / 1000000"
COUNT = "SELECT count(*) FROM filling"


def sql(remote: Remote, text: str, database: str = "notes") -> str:
    """Return what PostgreSQL answers."""
    return remote.run("sudo", "-u", "postgres", "psql", "-XAtd", database, stdin=text).strip()


def timed(remote: Remote, *command: str) -> tuple[float, str]:
    """Return how many seconds a command takes until what it wrote is on the disk, and what it says."""
    remote.run("sync")
    started = time.monotonic()
    said = remote.run(*command)
    remote.run("sync")
    return time.monotonic() - started, said


def measure(remote: Remote, megabytes: int) -> bool:
    """Print the times; return whether the restore keeps to the bar."""
    rows = megabytes * ROWS_PER_MEGABYTE
    sql(remote, FILL.format(rows=rows))
    remote.run("farrier-backup", "run")
    at = sql(remote, "SELECT clock_timestamp()")
    sql(remote, "DELETE FROM filling")
    data = sql(remote, "SHOW data_directory")
    copy, _ = timed(remote, "cp", "-a", data, "/var/tmp/copy")
    remote.run("rm", "-r", "/var/tmp/copy")
    identifier = remote.run("farrier-backup", "restore", "plan", "notes", f"--at={at}", "--has-database")
    chosen = f"--id={identifier.splitlines()[0]}"
    prepared, said = timed(remote, "farrier-backup", "restore", "prepare", "notes", chosen, f"--at={at}")
    swapped, _ = timed(remote, "farrier-backup", "restore", "swap", "notes", chosen)
    if sql(remote, COUNT) != str(rows):
        raise SystemExit("rows are missing")
    recovered = float(re.findall(r"recovered in ([\d.]+) s", said)[0])
    print(
        f"{sql(remote, SIZE)} MB: copied in {copy:.1f} s, a cluster of the moment runs in {recovered:.1f} s"
        f" ({recovered / copy:.1f} times the copy), the database is restored in {prepared + swapped:.1f} s"
        f" ({(prepared + swapped) / copy:.1f} times), of which the app was stopped {swapped:.1f} s"
    )
    return recovered <= BAR * copy


def main() -> int:
    """Print a line; exit 1 above the bar."""
    remote = Remote(HOST)
    try:
        play(INVENTORY, "lab/up.yml")
        remote.run("sh", "-c", "pg_dropcluster --stop $(pg_lsclusters -h | cut -d' ' -f1) main")
        play(INVENTORY, "site.yml")
        is_good = measure(remote, int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES)
    finally:
        play(INVENTORY, "lab/down.yml")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
