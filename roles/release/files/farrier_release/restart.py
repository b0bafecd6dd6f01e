"""restart: replace the running service by one that has read everything anew, in the same release."""

from __future__ import annotations

import secrets
import time
from typing import Any

from farrier_release import activation
from farrier_release.application import Application
from farrier_release.begin import check_host
from farrier_release.lease import Lease
from farrier_release.takeover import nobody_else
from farrier_release.transition import look_at


def restart(application: Application, request: dict[str, Any], *, gone: str = "") -> dict[str, Any]:
    """Restart the service of the live release without a pause; one that does not run stays as it is.

    Args:
        application: what is restarted.
        request: `who` and `owner`.
        gone: public id of a lease whose owner the caller found dead.

    Raises:
        ReleaseError: busy, or it failed; then what ran before still serves.
    """
    check_host(application)
    with nobody_else(application, gone) as notes:
        for note in notes:
            application.say(note)
        live = application.releases.live()
        if live is None or not look_at(application).active:
            return {"changed": False, "message": f"{application.configuration.service} does not run."}
        now = time.time()
        lease = Lease(
            token=secrets.token_hex(16),
            what="restart",
            who=request["who"],
            owner=request.get("owner") or {},
            release=live,
            origin=live,
            begun_at=now,
            renewed_at=now,
            request=request,
        )
        application.lease_file.take(lease)
    try:
        return activation.activate(application, lease)
    finally:
        left = application.lease_file.read()
        if left is not None and left.token == lease.token:  # its process was killed
            application.lease_file.drop()
