"""What is under way with an application on this host, and how the last transaction ended: one file.

Two things are held. The lock (`flock`) is held by a process while it works, and vanishes with it. The
transaction is written down in APP/.state.json from its beginning to its end, between which no process of it
need run: another host of the fleet may have to come first, the process may have been killed, the power may
have failed. `reconcile` brings whatever is found there to one of the two good states.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from farrier_release.config import Configuration
from farrier_release.errors import ConfigurationError, ExitCode, ReleaseError, UsageError
from farrier_release.storage import read_json, write_json

FORMAT = 1
_POLL_SECONDS = 0.1


@dataclass
class Transaction:
    """A deploy or rollback under way.

    Args:
        token: secret of its holder; who carries it on must show it.
        what: `deploy`, `rollback` or `restart`.
        who: who started it, for people.
        owner: the controller's process, as the controller describes it.
        release: id of the release that is to go live.
        origin: id of the release that was live at the beginning, or None.
        begun_at: seconds since 1970.
        boot_id: of the kernel under which it was last carried on.
        renewed_at: when that was, in seconds since the kernel's boot.
        phase: `begin`, the step that runs, `prepared`, or `watch` once it has succeeded.
        order: names the unit's run that carries it on; "" for none yet.
        seconds: time taken by each finished step.
        request: what `begin` was asked for.
        rehearsal: what `rehearse` saw.
        wait_seconds: how long it may have to wait for its turn before its first step, in silence.
        settings: what of the inventory it brings, see `changed_settings`.
        flip: empty until `current` may point to the release: then `at` (seconds since 1970), `replaced`, and
            `restarts`, how often systemd had restarted the service by itself.
        saved_at: when what the app keeps was saved for the migration, in seconds since 1970; 0 if it was not.
    """

    token: str
    what: str
    who: str
    owner: dict[str, Any]
    release: str
    origin: str | None
    begun_at: float
    boot_id: str = ""
    renewed_at: float = 0.0
    phase: str = "begin"
    order: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    rehearsal: dict[str, Any] = field(default_factory=dict)
    wait_seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    flip: dict[str, Any] = field(default_factory=dict)
    saved_at: float = 0.0

    def describe(self) -> str:
        """Who does what since when, for people."""
        since = _moment(self.begun_at)
        return f"{self.what} of {self.release} by {self.who} (phase {self.phase}), since {since}"

    def public_id(self) -> str:
        """Names it without giving its token away."""
        return f"{self.begun_at:.6f}"

    def entry(self) -> dict[str, Any]:
        """What the log says of it in any case."""
        saved = {"saved_at": self.saved_at} if self.saved_at else {}
        return {"what": self.what, "who": self.who, "from": self.origin, "to": self.release, **saved}


class StateFile:
    """The state and the lock of one application."""

    def __init__(self, configuration: Configuration) -> None:
        self._app = configuration.name
        self._stale_seconds = configuration.lease_stale_seconds
        self._lock = configuration.lock_directory / f"{self._app}.lock"
        self._path = configuration.root / ".state.json"
        # Of version 0.1.
        self._lease = configuration.lock_directory / f"{self._app}.lease.json"
        self._marker = configuration.root / ".activation.json"

    @contextlib.contextmanager
    def locked(self, *, wait_seconds: float = 0) -> Iterator[None]:
        """Hold the lock.

        Raises:
            ReleaseError: another process works on this application and did not end within `wait_seconds`.
        """
        self._lock.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + wait_seconds
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise self._working() from None
                time.sleep(_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Transaction | None:
        """The transaction that is under way, or None.

        Raises:
            ConfigurationError: a newer version of the tool has written it.
        """
        data = read_json(self._path) or {}
        if data.get("format", FORMAT) != FORMAT:
            raise ConfigurationError(
                f"{self._path} is of a newer version of Farrier than the tool on this host.",
                next_command="ansible-playbook farrier.kit.site, with that version",
            )
        found = _transaction(data.get("transaction"))
        return found or self._of_version_0_1()

    def is_damaged(self) -> bool:
        """Whether there is a file of which nothing can be read."""
        return self._path.exists() and read_json(self._path) is None

    def begin(self, transaction: Transaction) -> None:
        """Write down a new one. The caller holds the lock and has dealt with a former one."""
        self.renew(transaction)

    def renew(self, transaction: Transaction) -> None:
        """Write what changed in it, and that it is alive."""
        transaction.boot_id, transaction.renewed_at = boot_id(), _since_boot_seconds()
        self._write(transaction, self._last())

    def report(self, transaction: Transaction, result: dict[str, Any]) -> None:
        """Say how the order that carries it on has ended; the transaction itself goes on."""
        self._write(transaction, {"order": transaction.order, "result": result})

    def end(self, transaction: Transaction | None = None, result: dict[str, Any] | None = None) -> None:
        """Nothing is under way any more; `result` is of the last order, where none was reported yet."""
        last = self._last()
        if transaction is not None and result is not None:
            last = {"order": transaction.order, "result": result}
        self._write(None, last)
        self._lease.unlink(missing_ok=True)
        self._marker.unlink(missing_ok=True)

    def result_of(self, order: str) -> dict[str, Any] | None:
        """How an order has ended, or None when it has not, or was forgotten for a later one."""
        last = self._last()
        return last["result"] if last.get("order") == order else None

    def holder(self, token: str) -> Transaction:
        """The transaction, if `token` is its holder's.

        Raises:
            UsageError: there is none, or it is somebody else's.
        """
        transaction = self.read()
        if transaction is None or not secrets.compare_digest(transaction.token, token):
            held = f"held by: {transaction.describe()}" if transaction else "held by nobody"
            raise UsageError(
                f"This deploy no longer holds the lease of {self._app} ({held}).",
                next_command="start the deploy again",
            )
        return transaction

    def stale_reason(self, transaction: Transaction, gone: str) -> str | None:
        """Why a transaction may be taken over, or None when it may not.

        Args:
            transaction: the one that is in the way.
            gone: public id of one whose owner the caller has found dead.
        """
        if gone and gone == transaction.public_id():
            return "the process that held it is gone"
        if transaction.boot_id != boot_id():
            return "the host was rebooted"
        if self._lasts_seconds(transaction) < 0:
            minutes = (_since_boot_seconds() - transaction.renewed_at) / 60
            return f"nothing has happened for {minutes:.0f} minutes"
        return None

    def busy(self, transaction: Transaction) -> ReleaseError:
        """The error for a caller who is in the way of a living one."""
        until = _moment(time.time() + self._lasts_seconds(transaction))
        return ReleaseError(
            f"{self._app} is locked: {transaction.describe()}. "
            f"The lease lasts until {until}, and longer if the {transaction.what} goes on.",
            next_command=f"wait for it; if it is dead: {unlock_command(self._app)}",
            exit_code=ExitCode.BUSY,
        )

    def _lasts_seconds(self, transaction: Transaction) -> float:
        """How long it is until silence makes it stale; by a clock that nobody can set."""
        waits = transaction.wait_seconds if transaction.phase == "begin" else 0.0
        return transaction.renewed_at + self._stale_seconds + waits - _since_boot_seconds()

    def _working(self) -> ReleaseError:
        transaction = self.read()
        working = transaction.describe() if transaction else "another command"
        return ReleaseError(
            f"A phase of {working} is running on this host.",
            next_command=f"wait for it; look at it with: farrier-release --app {self._app} status",
            exit_code=ExitCode.BUSY,
        )

    def _last(self) -> dict[str, Any]:
        last = (read_json(self._path) or {}).get("last")
        return last if isinstance(last, dict) and isinstance(last.get("result"), dict) else {}

    def _write(self, transaction: Transaction | None, last: dict[str, Any]) -> None:
        data = {"format": FORMAT, "transaction": transaction and asdict(transaction), "last": last}
        write_json(self._path, data, mode=0o600, durable=True)

    def _of_version_0_1(self) -> Transaction | None:
        """What a tool of version 0.1 has begun: its lease, and its marker of an activation."""
        lease, marker = read_json(self._lease), read_json(self._marker) or {}
        found = _transaction(lease) or _transaction(
            {
                "token": secrets.token_hex(16),
                "what": "deploy",
                "who": marker.get("who", ""),
                "owner": {},
                "release": marker.get("to"),
                "origin": marker.get("from"),
                "begun_at": marker.get("at"),
            }
        )
        if found is not None and lease is not None:
            silent_seconds = time.time() - float(lease.get("renewed_at") or 0)
            found.boot_id, found.renewed_at = boot_id(), _since_boot_seconds() - silent_seconds
        if found is not None and marker:
            found.flip = {"at": found.begun_at, "replaced": marker.get("replaced")}
        return found


def unlock_command(app: str) -> str:
    """What frees an application of a transaction that nobody carries on."""
    return f"ansible-playbook farrier.kit.unlock -e app={app}"


def boot_id() -> str:
    """Names the time since the kernel's boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _transaction(data: Any) -> Transaction | None:
    """What was written down, keys of other versions apart; None where it makes no sense."""
    if not isinstance(data, dict):
        return None
    known = {one.name for one in fields(Transaction)}
    try:
        found = Transaction(**{key: value for key, value in data.items() if key in known})
        found.begun_at, found.renewed_at = float(found.begun_at), float(found.renewed_at)
    except (TypeError, ValueError):
        return None
    return found if isinstance(found.token, str) and isinstance(found.release, str) else None


def _since_boot_seconds() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
