"""What can be wrong with a source."""

from __future__ import annotations

import re


class SourceError(Exception):
    """The source cannot be used. The message says what is wrong, where, and what to do about it.

    Of an address in it, the user with the password and the query are left out: they may be secret.
    """

    def __init__(self, message: str) -> None:
        message = re.sub(r"://[^/\s]*@", "://…@", message)
        super().__init__(re.sub(r"(://[^\s?]*\?)[^\s'\"]+", r"\1…", message))
