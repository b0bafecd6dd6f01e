"""What can be wrong with a source."""

from __future__ import annotations


class SourceError(Exception):
    """The source cannot be used. The message says what is wrong, where, and what to do about it."""
