"""Moments, as operators write and read them."""

from __future__ import annotations

from datetime import datetime

from farrier_backup.errors import BackupError


def moment(text: str, now: datetime | None = None) -> datetime:
    """Return a moment that an operator has written, in the host's time zone unless it says another.

    Raises:
        BackupError: it is none, or has not come yet.
    """
    try:
        at = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise BackupError(f"{text!r} is not a moment", "write one as in at='2026-11-25 12:00'") from None
    if at > (now or datetime.now().astimezone()):
        raise BackupError(f"{shown(at)} has not come yet", "leave out `at` for the newest backup")
    return at


def shown(at: datetime | None) -> str:
    """Write a moment for an operator, in the time zone of the host."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if at else ""
