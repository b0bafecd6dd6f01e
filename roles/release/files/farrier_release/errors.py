"""What can go wrong, with the next command for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of `farrier-release`."""

    SUCCESS = 0
    FAILED = 1  # the phase failed; what was live is live
    USAGE = 2  # bad arguments, or a request that cannot be met
    BUSY = 3  # another deploy holds the lease
    CONFIGURATION = 4  # release.json or the units are not right
    UNDONE = 5  # the activation failed and was undone; what was live is live again
    BROKEN = 6  # the activation failed and so did its undoing: look at the service


class ReleaseError(Exception):
    """A failure with everything the operator needs.

    Args:
        message: what broke and why, one or two sentences.
        log: the application's own lines, oldest first.
        next_command: the command to run next, or what to change.
        exit_code: what `farrier-release` exits with.
    """

    def __init__(
        self,
        message: str,
        *,
        log: Sequence[str] = (),
        next_command: str = "",
        exit_code: ExitCode = ExitCode.FAILED,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.log = list(log)
        self.next_command = next_command
        self.exit_code = exit_code
        # The step of a transaction at which it happened.
        self.step = ""

    def details(self) -> dict[str, Any]:
        """The failure as plain data; `from_details` turns it back."""
        return {
            "message": self.message,
            "log": self.log,
            "next_command": self.next_command,
            "exit_code": int(self.exit_code),
            "step": self.step,
        }

    @classmethod
    def from_details(cls, details: dict[str, Any]) -> ReleaseError:
        """The failure that another process has written down."""
        error = ReleaseError(
            details["message"],
            log=details["log"],
            next_command=details["next_command"],
            exit_code=ExitCode(details["exit_code"]),
        )
        error.step = details["step"]
        return error


class UsageError(ReleaseError):
    """The request cannot be met: an unknown release, a missing file, phases out of order."""

    def __init__(self, message: str, *, next_command: str = "") -> None:
        super().__init__(message, next_command=next_command, exit_code=ExitCode.USAGE)


class ConfigurationError(ReleaseError):
    """`release.json` or what it points to is not right."""

    def __init__(self, message: str, *, next_command: str = "") -> None:
        super().__init__(message, next_command=next_command, exit_code=ExitCode.CONFIGURATION)


class NoAnswerError(ReleaseError):
    """systemd does not answer. Nothing is known by that, least of all of the release."""
