"""What counts as a failure; `tests/harness/load/README.md` gives the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Every way in which the target can break its promise."""

    REFUSED = "refused"
    """No connection, or no TLS session, could be made."""
    UNANSWERED = "unanswered"
    """A request was written and the connection closed without one byte of an answer."""
    TRUNCATED = "truncated"
    """An answer began and did not end as its framing says."""
    TIMEOUT = "timeout"
    """No complete answer in time."""
    PROTOCOL = "protocol"
    """Bytes that are no HTTP or WebSocket answer, or an answer that nobody asked for."""
    STATUS = "status"
    """A complete answer with another status than the operation calls for."""
    WRONG = "wrong"
    """A complete answer with the right status and the wrong content."""
    IDLE_RESET = "idle_reset"
    """A keep-alive connection that was reset (RST) while it was idle, instead of closed."""
    WEBSOCKET_CLOSED = "websocket_closed"
    """A WebSocket that ended other than by a close frame with code 1012 (service restart)."""


@dataclass(eq=False)
class Failure(Exception):  # noqa: N818 -- what the report calls it
    """One broken promise.

    Attributes:
        kind: which promise.
        detail: what was seen, for a person.
        status: the HTTP status, 0 when there was none.
        release: the release that answered, empty when unknown.
    """

    kind: Kind
    detail: str
    status: int = 0
    release: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class ClosedWhileIdle(Exception):  # noqa: N818 -- no error: HTTP allows it
    """The server had closed the connection before the first byte of the request was written."""
