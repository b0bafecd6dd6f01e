"""Take over from a deploy that died: free its lease and remove what it left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from farrier_release import activation, audit
from farrier_release.application import Application
from farrier_release.lease import Lease

# Time for what a dead deploy has left running to come to its end: a migration is never cut short.
_LOCK_WAIT_SECONDS = 20


@contextlib.contextmanager
def nobody_else(application: Application, gone: str, why: str = "") -> Iterator[list[str]]:
    """Hold the lock, with nobody holding the lease and no activation half done.

    Args:
        application: whose lock.
        gone: public id of a lease whose owner the caller found dead.
        why: the reason for the log, where the caller knows a better one.

    Yields:
        What had to be done for that, for people.

    Raises:
        ReleaseError: the lease is held by a living deploy, or one of its phases does not end.
    """
    _end_what_may_be_ended(application, gone)
    with application.lease_file.locked(wait_seconds=_LOCK_WAIT_SECONDS):
        notes = []
        lease = application.lease_file.read()
        if lease is not None:
            reason = _reason(application, lease, gone)
            _abandon(application, lease, why or reason)
            notes.append(f"Took over from a dead {lease.describe()}: {reason}.")
        recovered = activation.recover(application)
        if recovered["changed"]:
            notes.append(str(recovered["message"]))
        yield notes


def _end_what_may_be_ended(application: Application, gone: str) -> None:
    """A dead deploy's build or rehearsal is of no use to anybody; stopped, it clears itself away."""
    lease = application.lease_file.read()
    if lease is None:
        return
    _reason(application, lease, gone)
    if lease.phase == "build":
        application.host.systemctl("stop", f"{application.build_unit}.service")
    elif lease.phase == "rehearse":
        application.host.systemctl(
            "kill", "--signal=KILL", application.configuration.rehearsal_unit_of(lease.release)
        )


def _reason(application: Application, lease: Lease, gone: str) -> str:
    reason = application.lease_file.stale_reason(lease, gone)
    if reason is None:
        raise application.lease_file.busy(lease)
    return reason


def _abandon(application: Application, lease: Lease, reason: str) -> None:
    if lease.rehearsal:
        application.host.systemctl("stop", lease.rehearsal["unit"])
    entry = {"what": lease.what, "who": lease.who, "from": lease.origin, "to": lease.release}
    audit.record(
        application.configuration,
        {**entry, "result": "abandoned", "phase": lease.phase, "seconds": lease.seconds, "message": reason},
    )
    application.lease_file.drop()


def remove_leftovers(application: Application) -> None:
    """Remove releases that were never live, and archives that nobody will build from."""
    releases = application.releases
    keep = releases.in_use()
    for release in releases.all():
        if release not in keep and not releases.verified(release):
            application.say(f"removing what is left of {release}")
            releases.remove(release)
    for archive in application.configuration.incoming_directory.glob("*"):
        archive.unlink()
