"""rollback: make an earlier release live again, rehearsed and verified like a new one."""

from __future__ import annotations

import secrets
import time
from typing import Any

from farrier_release import changed_settings
from farrier_release.application import Application
from farrier_release.begin import check_host
from farrier_release.reconcile import nobody_else
from farrier_release.state import Transaction
from farrier_release.transition import choose as choose_transition
from farrier_release.transition import look_at


def foresee(application: Application, request: dict[str, Any]) -> dict[str, Any]:
    """Say which release a rollback would go back to, and by which way; nothing is taken and nothing changes.

    Args:
        application: what would be rolled back.
        request: `release` (id or None), `force`.

    Raises:
        ReleaseError: no such release.
    """
    releases = application.releases
    release = releases.choose_for_rollback(request.get("release"), force=bool(request.get("force")))
    manifest = releases.manifest(release) or {}
    transition = choose_transition(application, look_at(application), manifest)
    return {
        "changed": True,
        "check": True,
        "release": release,
        "from": releases.live(),
        "how": transition.how,
        "message": f"would go back to {release} by {transition.how}: {transition.why}"
        f"{changed_settings.told_since(application, manifest)}",
    }


def choose(application: Application, request: dict[str, Any], *, gone: str = "") -> Transaction:
    """Take the lease for going back to `request["release"]`, or to the release before the live one.

    Args:
        application: what is rolled back.
        request: `release` (id or None), `force`, `who`, `owner`; `undo`, to take back the settings that the
            live release has brought.
        gone: public id of a lease whose owner the caller found dead.

    Raises:
        ReleaseError: busy, or no such release.
    """
    check_host(application)
    with nobody_else(application, gone) as notes:
        for note in notes:
            application.say(note)
        live = application.releases.live()
        changes = changed_settings.former(application, live) if request.get("undo") else None
        transaction = Transaction(
            token=secrets.token_hex(16),
            what="rollback",
            who=request["who"],
            owner=request.get("owner") or {},
            release=application.releases.choose_for_rollback(
                request.get("release"), force=bool(request.get("force"))
            ),
            origin=live,
            begun_at=time.time(),
            request=request,
            settings=changes.record() if changes else {},
        )
        if changes:
            changed_settings.stage(application, transaction.release, changes)
        application.state.begin(transaction)
    return transaction
