"""restart: replace the running service by one that has read everything anew, in the same release."""

from __future__ import annotations

import secrets
import time
from typing import Any

from farrier_release.application import Application
from farrier_release.begin import check_host
from farrier_release.reconcile import nobody_else
from farrier_release.state import Transaction
from farrier_release.transition import look_at


def begin(application: Application, request: dict[str, Any], *, gone: str = "") -> Transaction | None:
    """Take the lease for a restart of the live release's service; None where that does not run.

    Args:
        application: what is restarted.
        request: `who` and `owner`.
        gone: public id of a transaction whose owner the caller found dead.

    Raises:
        ReleaseError: busy.
    """
    check_host(application)
    with nobody_else(application, gone) as notes:
        for note in notes:
            application.say(note)
        live = application.releases.live()
        if live is None or not look_at(application).active:
            return None
        transaction = Transaction(
            token=secrets.token_hex(16),
            what="restart",
            who=request["who"],
            owner=request.get("owner") or {},
            release=live,
            origin=live,
            begun_at=time.time(),
            request=request,
        )
        application.state.begin(transaction)
    return transaction
