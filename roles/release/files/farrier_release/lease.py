"""One deploy per application and host.

Two things are held. The lock (`flock` on APP.lock) is held by a process while it works and vanishes with it.
The lease (APP.lease.json) is held by a deploy from its first phase to its last, between which no process of
it need be on this host; it says who holds it, and is left behind when a controller dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from farrier_release.config import Configuration
from farrier_release.errors import ExitCode, ReleaseError, UsageError
from farrier_release.storage import read_json, write_json

_POLL_SECONDS = 0.1


@dataclass
class Lease:
    """A deploy or rollback under way.

    Args:
        token: secret of the holder; later phases must show it.
        what: `deploy`, `rollback` or `restart`.
        who: who started it, for people.
        owner: the controller's process, as the controller describes it; see `same_owner`.
        release: id of the release that is to go live.
        origin: id of the release that was live at the beginning, or None.
        begun_at: seconds since 1970.
        renewed_at: the end of the last phase, seconds since 1970.
        phase: the phase that was last begun.
        seconds: time taken by each finished phase.
        request: what `begin` was asked for.
        rehearsal: what `rehearse` saw.
        wait_seconds: how long it may have to wait for its turn before its first phase, in silence.
    """

    token: str
    what: str
    who: str
    owner: dict[str, Any]
    release: str
    origin: str | None
    begun_at: float
    renewed_at: float
    phase: str = "begin"
    seconds: dict[str, float] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    rehearsal: dict[str, Any] = field(default_factory=dict)
    wait_seconds: float = 0.0

    def describe(self) -> str:
        """Who does what since when, for people."""
        since = _moment(self.begun_at)
        return f"{self.what} of {self.release} by {self.who} (phase {self.phase}), since {since}"


class LeaseFile:
    """The lease and the lock of one application."""

    def __init__(self, configuration: Configuration) -> None:
        self._app = configuration.name
        self._stale_seconds = configuration.lease_stale_seconds
        self._lock = configuration.lock_directory / f"{self._app}.lock"
        self._path = configuration.lock_directory / f"{self._app}.lease.json"

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

    def read(self) -> Lease | None:
        """The lease, or None when nobody holds one."""
        data = read_json(self._path)
        try:
            return Lease(**data) if data else None
        except TypeError:
            return None

    def take(self, lease: Lease) -> None:
        """Hold the lease. The caller holds the lock and has dealt with a former holder."""
        self._write(lease)

    def holder(self, token: str) -> Lease:
        """The lease, if `token` is its holder's.

        Raises:
            UsageError: nobody holds it, or somebody else does.
        """
        lease = self.read()
        if lease is None or not secrets.compare_digest(lease.token, token):
            held = f"held by: {lease.describe()}" if lease else "held by nobody"
            raise UsageError(
                f"This deploy no longer holds the lease of {self._app} ({held}).",
                next_command="start the deploy again",
            )
        return lease

    def renew(self, lease: Lease) -> None:
        """Write what changed in the lease, and that it is alive."""
        lease.renewed_at = time.time()
        self._write(lease)

    def drop(self) -> None:
        """Nobody holds the lease any more."""
        self._path.unlink(missing_ok=True)

    def stale_reason(self, lease: Lease, gone_token: str) -> str | None:
        """Why a lease may be taken over, or None when it may not.

        Args:
            lease: the one that is in the way.
            gone_token: public id of a lease whose owner the caller has found dead, see `public_id`.
        """
        if gone_token and gone_token == public_id(lease):
            return "the process that held it is gone"
        if time.time() > self._lasts_until(lease):
            return f"nothing has happened for {(time.time() - lease.renewed_at) / 60:.0f} minutes"
        return None

    def busy(self, lease: Lease) -> ReleaseError:
        """The error for a caller who is in the way of a living lease."""
        lasts = f"lasts until {_moment(self._lasts_until(lease))}, and longer if the {lease.what} goes on"
        unlock = f"ansible-playbook farrier.kit.unlock -e app={self._app}"
        return ReleaseError(
            f"{self._app} is locked: {lease.describe()}. The lease {lasts}.",
            next_command=f"wait for it; if it is dead: {unlock}",
            exit_code=ExitCode.BUSY,
        )

    def _lasts_until(self, lease: Lease) -> float:
        """When silence makes a lease stale, in seconds since 1970."""
        waits = lease.wait_seconds if lease.phase == "begin" else 0.0
        return lease.renewed_at + self._stale_seconds + waits

    def _working(self) -> ReleaseError:
        lease = self.read()
        return ReleaseError(
            f"A phase of {lease.describe() if lease else 'another command'} is running on this host.",
            next_command=f"wait for it; look at it with: farrier-release --app {self._app} status",
            exit_code=ExitCode.BUSY,
        )

    def _write(self, lease: Lease) -> None:
        write_json(self._path, asdict(lease), mode=0o600)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def public_id(lease: Lease) -> str:
    """Names a lease without giving its token away."""
    return f"{lease.begun_at:.6f}"
