"""What commands print: passed on as it comes, and kept only at its end."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import IO

from farrier_release.text import printable

TAIL_LINES = 60
# A longer line is shown in pieces.
_LINE_MAX_BYTES = 16 * 1024


def pass_on(stream: IO[bytes], show: Callable[[str], str] = printable, *, is_shown: bool = True) -> list[str]:
    """Copy a stream to standard error, line by line, until it ends.

    Args:
        stream: what to read.
        show: turns a line into what may be kept and shown of it.
        is_shown: whether it goes to standard error at all.

    Returns:
        The last lines.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    while line := stream.readline(_LINE_MAX_BYTES):
        text = show(line.decode(errors="replace").rstrip())
        tail.append(text)
        if is_shown:
            print(text, file=sys.stderr, flush=True)
    return list(tail)
