"""What a transaction says while it runs: for the journal, and for whoever follows it from elsewhere."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from farrier_release.config import Configuration

# A follower reads it from memory; the journal has all of it.
_MAX_BYTES = 1 << 20
_END = "(the rest is in the journal)\n"


class Progress(io.TextIOBase):
    """Standard error of a transaction: passed on, and kept for followers."""

    def __init__(self, configuration: Configuration, stream: TextIO) -> None:
        self._stream = stream
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path(configuration), flags, 0o600)
        self._left = _MAX_BYTES

    def write(self, text: str) -> int:
        """Pass on and keep some text. That it cannot be is no reason to stop."""
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        data = text.encode(errors="replace")
        if self._left > 0:
            self._left -= len(data)
            with suppress(OSError):
                os.write(self._file, data if self._left > 0 else _END.encode())
        return len(text)


def path(configuration: Configuration) -> Path:
    """Where it is kept."""
    return configuration.lock_directory / f"{configuration.name}.progress"


def clear(configuration: Configuration) -> None:
    """Forget what an earlier transaction has said."""
    with suppress(FileNotFoundError):
        path(configuration).unlink()


def read(configuration: Configuration, offset: int) -> tuple[list[str], int]:
    """The lines that are complete since an offset in bytes, and the offset behind them."""
    try:
        with path(configuration).open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), offset + len(whole)
