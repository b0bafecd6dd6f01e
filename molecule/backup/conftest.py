"""What the tests of backups share: the app of a host, asked as its users do, and its backups."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.harness.connections import reached
from tests.harness.outside import Outside

INVENTORY = Path(__file__).resolve().parent / "inventory"
T = TypeVar("T")
KEY = "/etc/farrier-backup/id_ed25519"
SSH = (
    "ssh -F/dev/null -oHostKeyAlias=backup -oBatchMode=yes"
    " -oUserKnownHostsFile=/etc/farrier-backup/known_hosts farrier-repositories@10.77.77.152 -i"
)
TRY_SECONDS = 60
SSH_SECONDS = 5
DATABASE_HOST = "keeper13"
REPOSITORIES = "/var/lib/farrier-repositories"


def started(unit: str) -> str:
    """The command that starts a service, also so soon after the last time that systemd would refuse it."""
    return f"systemctl reset-failed {unit}; systemctl start {unit}"


START = started("farrier-backup.service")


class Notes:
    """The app on one host.

    Args:
        host: on which it runs.
        name: of the host.
        address: of the host.
    """

    def __init__(self, host: Host, name: str, address: str) -> None:
        self.host = host
        self.name = name
        self._outside = Outside(address)

    def write(self, *notes: str) -> None:
        """Write notes."""
        assert self._ask("POST", "/notes", "\n".join(notes)) == "written"

    def read(self) -> list[str]:
        """All notes."""
        return self._ask("GET", "/notes").split()

    def delete_all(self) -> None:
        """Delete notes and uploads."""
        assert self._ask("DELETE", "/notes") == "deleted"

    def write_rows(self, *rows: str) -> None:
        """Write rows into the database that the apps share."""
        assert self._ask("POST", "/rows", "\n".join(rows)) == "written"

    def read_rows(self) -> list[str]:
        """All rows."""
        return self._ask("GET", "/rows").split()

    def drop_rows(self) -> None:
        """Drop the table."""
        assert self._ask("DELETE", "/rows") == "dropped"

    def upload(self, name: str, content: str) -> None:
        """Keep a file."""
        assert self._ask("PUT", f"/uploads/{name}", content) == "kept"

    def served(self, name: str) -> tuple[int, str]:
        """Status and content of a file, as nginx serves it."""
        answer = self._outside.https(f"{self.name}.lab.test", f"/media/{name}")
        return answer.status, answer.body.decode()

    def _ask(self, method: str, path: str, body: str = "") -> str:
        answer = self._outside.https(f"{self.name}.lab.test", path, method=method, body=body.encode())
        assert answer.status == 200, answer
        return answer.body.decode()

    def save(self) -> str:
        """Save it as its timer does; return the moment, as an operator writes it."""
        self.host.check_output(START)
        return self.host.check_output("date '+%Y-%m-%d %H:%M:%S'")

    def fail_to_save(self) -> str:
        """Save it where that cannot work; return what status says of it, which is an alarm."""
        assert self.host.run(START).failed
        return self.alarm()

    def alarm(self) -> str:
        """What status says, which is an alarm."""
        said = self.status()
        assert said.rc == 1, said.stdout
        return said.stdout

    def status(self) -> CommandResult:
        """What status says."""
        return self.host.run("farrier-backup status")

    def known(self) -> dict[str, Any]:
        """What the host knows of its backups."""
        found: dict[str, Any] = json.loads(
            self.host.file("/var/lib/farrier-backup/records/notes.json").content_string
        )
        return found

    def restic(self, *arguments: str) -> CommandResult:
        """What the host can do with its repository, if it goes by no rules."""
        return self.host.run(
            f"timeout {TRY_SECONDS} restic --repo=rclone:repository --option=rclone.program='{SSH}{KEY}'"
            f" --no-cache --password-file=/etc/farrier-backup/passphrase {' '.join(arguments)}"
        )

    def ssh(self, command: str, key: str = KEY) -> CommandResult:
        """What a command does on the host of the repositories, by SSH."""
        # What answers the host's own key waits for what a client of it says.
        return self.host.run(f"timeout {SSH_SECONDS} {SSH}{key} {command} < /dev/null || exit 1")

    def snapshots(self, tag: str = "") -> list[str]:
        """Ids of all backups, or of those with a tag."""
        listed = self.restic("snapshots", "--json", "--no-lock", f"--tag={tag}" if tag else "")
        return [one["id"] for one in json.loads(listed.stdout) or []]


def side_by_side(work: Callable[[Notes], T], keepers: list[Notes]) -> list[T]:
    """Do the same for each app at once; return what comes of it."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, keepers))


@contextmanager
def broken(host: Host, break_it: str, mend_it: str) -> Iterator[None]:
    """Break something meanwhile."""
    host.check_output(break_it)
    try:
        yield
    finally:
        host.check_output(mend_it)


@pytest.fixture(scope="session")
def keepers() -> list[Notes]:
    """The apps of both hosts: Debian 12 and 13."""
    return [keeper(name) for name in ("keeper12", "keeper13")]


def keeper(name: str) -> Notes:
    """The app of a host."""
    host = reached(name)
    return Notes(host, name, host.check_output("hostname -I").split()[0])


@pytest.fixture(scope="session")
def database() -> Host:
    """The host that has the database of the apps."""
    return reached(DATABASE_HOST)


@pytest.fixture(scope="session")
def vault() -> Host:
    """The host that holds the backups."""
    return reached("vault")
