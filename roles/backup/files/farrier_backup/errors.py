"""What stops a backup or a restore, said so that an operator can go on."""

from __future__ import annotations


class BackupError(Exception):
    """Raised where something cannot be done.

    Args:
        what: is wrong, a sentence without its full stop.
        fix: what to do about it, likewise.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}. Next: {fix}.")
        self.what = what
        self.fix = fix
