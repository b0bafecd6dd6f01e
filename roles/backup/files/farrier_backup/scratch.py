"""PostgreSQL as it was at a moment: a cluster of its own, which nobody else reaches."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from farrier_backup import pgbackrest, postgresql
from farrier_backup.errors import BackupError
from farrier_backup.pgbackrest import Point, as_postgres, own
from farrier_backup.settings import open_way

POLL_SECONDS = 0.2
# Nobody waits for it but one program, and a crash of the machine may take it.
_SETTINGS = {
    "archive_mode": "off",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",
    "fsync": "off",
    "full_page_writes": "off",
    "hot_standby": "off",
    "jit": "off",
    "listen_addresses": "",
    "logging_collector": "off",
    "max_connections": "20",
    "max_locks_per_transaction": "4096",
    "max_prepared_transactions": "100",
    "max_wal_size": "4GB",
    "shared_buffers": "128MB",
    "ssl": "off",
}


# An app has its own database, also by its role that only reads, if it gets at the socket.
_HBA = """local all postgres peer
local sameuser all peer
local all all peer map=readers
"""
_IDENT = "readers /^(.+)$ \\1_reader\n"


@dataclass(frozen=True)
class Scratch:
    """A cluster that runs.

    Args:
        socket: directory of its socket.
        programs: directory of the programs of its version.
    """

    socket: Path
    programs: Path

    def run(self, program: str, *arguments: str) -> str:
        """Return what one of PostgreSQL's programs prints about the cluster."""
        return as_postgres([str(self.programs / program), f"--host={self.socket}", *arguments])

    def query(self, sql: str, **names: str) -> str:
        """Return what the cluster answers."""
        return postgresql.query(sql, socket=self.socket, **names)


@contextmanager
def cluster(
    home: Path, repository: Path, point: Point, at: datetime | None, only: str = ""
) -> Iterator[Scratch]:
    """Restore a cluster to a moment, and run it meanwhile.

    Args:
        home: directory for it, which is removed afterwards.
        repository: of pgBackRest.
        point: the backup to begin with.
        at: the moment; None for the end of the WAL.
        only: the database whose data are wanted; "" for all.

    Raises:
        BackupError: the WAL does not reach the moment, or something is damaged.
    """
    data = own(home / "data")
    target = [f"--target={at.isoformat(sep=' ')}", "--target-action=promote"] if at else []
    pgbackrest.call(
        "restore",
        f"--pg1-path={data}",
        f"--set={point.label}",
        f"--process-max={os.cpu_count() or 1}",
        f"--type={'time' if at else 'default'}",
        *target,
        "--archive-mode=off",
        f"--tablespace-map-all={own(home / 'tablespaces')}",
        f"--lock-path={own(home / 'lock')}",
        *([f"--db-include={only}"] if only else []),
        repository=repository,
    )
    scratch = Scratch(own(home / "socket"), _programs(data))
    control = [str(scratch.programs / "pg_ctl"), f"--pgdata={data}", "--silent", "--wait"]
    try:
        _start(control, home, scratch, at)
        yield scratch
    finally:
        with suppress(BackupError):
            as_postgres([*control, "--mode=immediate", "stop"])


def _programs(data: Path) -> Path:
    return Path("/usr/lib/postgresql", (data / "PG_VERSION").read_text().strip(), "bin")


def _start(control: list[str], home: Path, scratch: Scratch, at: datetime | None) -> None:
    log = scratch.socket / "log"
    for name, text in (("pg_hba.conf", _HBA), ("pg_ident.conf", _IDENT), ("postgresql.conf", "")):
        (home / name).write_text(text)
        (home / name).chmod(0o644)
    settings = {
        **_SETTINGS,
        "config_file": str(home / "postgresql.conf"),
        "hba_file": str(home / "pg_hba.conf"),
        "ident_file": str(home / "pg_ident.conf"),
        "unix_socket_directories": str(scratch.socket),
    }
    options = shlex.join(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
    # It says that it has started when the recovery begins.
    with suppress(BackupError):
        as_postgres([*control, f"--log={log}", f"--options={options}", "start"])
    while (home / "data" / "postmaster.pid").exists():
        with suppress(BackupError):
            scratch.query("SELECT")
            return
        time.sleep(POLL_SECONDS)
    raise failure(log.read_text(errors="replace") if log.exists() else "", at)


def failure(log: str, at: datetime | None) -> BackupError:
    """Return why a cluster did not start, by its log."""
    if "recovery ended before configured recovery target was reached" in log:
        last = re.findall(r"last completed transaction was at log time (\S+ \S+)", log)
        until = f"the last transaction in it is of {last[-1]}" if last else "no transaction is in it"
        return BackupError(
            f"the WAL that is there does not reach {at}; {until}", "choose an earlier moment by `at`"
        )
    fatal = re.findall(r"(?:FATAL|PANIC): +(.+)", log)
    return BackupError(
        f"PostgreSQL does not start from the backup: {fatal[-1] if fatal else 'it said nothing'}",
        "choose an earlier moment by `at`",
    )


def clear(home: Path) -> None:
    """Remove what a restore has left, and make place for another."""
    shutil.rmtree(home, ignore_errors=True)
    open_way(home)
