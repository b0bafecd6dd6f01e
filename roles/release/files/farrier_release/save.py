"""save: what the app keeps, before a migration changes it."""

from __future__ import annotations

import datetime
import time
from typing import Any

from farrier_release.application import Application
from farrier_release.errors import ReleaseError
from farrier_release.state import Transaction


def save(application: Application, transaction: Transaction) -> dict[str, Any]:
    """Save what is on this host, and record the moment. The playbook has seen to databases elsewhere.

    Raises:
        ReleaseError: it is not saved, and nothing was migrated.
    """
    settings = application.configuration
    try:
        done = application.host.run(
            ["farrier-backup", "save", settings.name], timeout_seconds=settings.task_timeout_seconds
        )
    except FileNotFoundError:
        raise ReleaseError(
            f"{settings.name} was not saved, so nothing was migrated: this host has no backups yet.",
            next_command="ansible-playbook farrier.kit.site, then deploy again",
        ) from None
    if done.returncode != 0:
        raise ReleaseError(
            f"{settings.name} was not saved, so nothing was migrated.",
            log=done.tail,
            next_command="correct that and deploy again, or set backup_before_migrate to false",
        )
    transaction.saved_at = time.time()
    manifest = application.releases.manifest(transaction.release) or {}
    application.releases.write_manifest(transaction.release, {**manifest, "saved_at": transaction.saved_at})
    return {"changed": True, "message": "Saved."}


def way_back(application: Application, saved_at: float | None) -> str:
    """Return what restores the data of before a migration, for a message; "" if none were saved."""
    if not saved_at:
        return ""
    at = datetime.datetime.fromtimestamp(saved_at, datetime.UTC).isoformat("T", "milliseconds")
    playbook = f"ansible-playbook farrier.kit.restore -e app={application.configuration.name}"
    return f"To restore what it kept before the migration: {playbook} -e at={at}"
