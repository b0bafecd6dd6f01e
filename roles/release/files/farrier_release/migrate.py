"""migrate: prepare the database for the new release while the old one is still live."""

from __future__ import annotations

from typing import Any

from farrier_release.application import Application
from farrier_release.state import Transaction


def migrate(application: Application, transaction: Transaction) -> dict[str, Any]:
    """Run the application's migrations in the new release. Once per deploy: the caller chooses the host.

    Raises:
        ReleaseError: one failed; the old release stays live.
    """
    commands = application.configuration.migrate
    application.run_tasks("migrate", commands, transaction.release)
    return {
        "changed": bool(commands),
        "message": f"{len(commands)} migration(s) done." if commands else "Nothing to migrate.",
    }
