"""Seconds of a restore of a database to a moment, against a plain copy of the cluster, in one run.

Usage: python -m tests.benchmarks.restore [MEGABYTES]. Takes a host of its own and removes it. Bar: twice the
time of the copy.
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.benchmarks.remote import ROOT, Remote

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


def play(playbook: str, *arguments: str) -> None:
    """Run a playbook against the host."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), playbook, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def sql(remote: Remote, text: str, database: str = "notes") -> str:
    """Return what PostgreSQL answers."""
    return remote.run("sudo", "-u", "postgres", "psql", "-XAtd", database, stdin=text).strip()


def seconds(remote: Remote, *command: str) -> float:
    """Return how long a command takes until what it wrote is on the disk."""
    remote.run("sync")
    started = time.monotonic()
    remote.run(*command)
    remote.run("sync")
    return time.monotonic() - started


def measure(remote: Remote, megabytes: int) -> bool:
    """Print the times; return whether the restore keeps to the bar."""
    rows = megabytes * ROWS_PER_MEGABYTE
    sql(remote, FILL.format(rows=rows))
    remote.run("farrier-backup", "run")
    at = sql(remote, "SELECT clock_timestamp()")
    sql(remote, "DELETE FROM filling")
    data = sql(remote, "SHOW data_directory")
    copy = seconds(remote, "cp", "-a", data, "/var/tmp/copy")
    remote.run("rm", "-r", "/var/tmp/copy")
    identifier = remote.run("farrier-backup", "restore", "plan", "notes", f"--at={at}", "--has-database")
    chosen = f"--id={identifier.splitlines()[0]}"
    prepared = seconds(remote, "farrier-backup", "restore", "prepare", "notes", chosen, f"--at={at}")
    swapped = seconds(remote, "farrier-backup", "restore", "swap", "notes", chosen)
    if sql(remote, COUNT) != str(rows):
        raise SystemExit("rows are missing")
    print(
        f"{sql(remote, SIZE)} MB: copy {copy:.1f} s, restore {prepared + swapped:.1f} s"
        f" ({(prepared + swapped) / copy:.1f} times the copy), of which the app was stopped {swapped:.1f} s"
    )
    return prepared + swapped <= BAR * copy


def main() -> int:
    """Print a line; exit 1 above the bar."""
    remote = Remote(HOST)
    try:
        play("lab/up.yml")
        remote.run("sh", "-c", "pg_dropcluster --stop $(pg_lsclusters -h | cut -d' ' -f1) main")
        play("site.yml")
        is_good = measure(remote, int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES)
    finally:
        play("lab/down.yml")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
