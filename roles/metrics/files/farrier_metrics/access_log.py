"""Follows the access log of nginx: each line once, over rotations and restarts, never all of it at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from farrier_metrics.reading import json_object, number, open_regular

_PIECE_BYTES = 256 * 1024
# At a time. What is more waits for the next round.
_MOST_BYTES = 32 * 1024 * 1024


@dataclass
class _File:
    descriptor: int
    offset: int
    is_left: bool = False

    @property
    def inode(self) -> int:
        return os.fstat(self.descriptor).st_ino

    def pieces(self, most_bytes: int) -> Iterator[bytes]:
        """Yield whole lines from the offset on."""
        if os.fstat(self.descriptor).st_size < self.offset:  # somebody has emptied it
            self.offset = 0
        while most_bytes > 0 and (piece := os.pread(self.descriptor, _PIECE_BYTES, self.offset)):
            end = piece.rfind(b"\n") + 1
            if end:
                yield piece[:end]
            elif len(piece) < _PIECE_BYTES:
                return  # its end has not been written yet
            self.offset += end or len(piece)
            most_bytes -= len(piece)


class Follower:
    """Of one log.

    Args:
        path: the log. What it was before its last rotation is in `path.1`.
        state: directory where the place is kept from one process to the next.
    """

    def __init__(self, path: Path, state: Path) -> None:
        self._path = path
        self._place = state / "access-log.json"
        self._kept: tuple[int, int] | None = None
        self._files: list[_File] = []
        self._resume()

    def pieces(self) -> Iterator[bytes]:
        """Yield the lines that have come since the last call, many at a time."""
        self._look_for_another()
        for file in self._files:
            yield from file.pieces(_MOST_BYTES)
        # nginx goes on writing to the former file for a moment after a rotation.
        for file in [file for file in self._files[:-1] if file.is_left]:
            os.close(file.descriptor)
            self._files.remove(file)
        for file in self._files[:-1]:
            file.is_left = True
        self._keep()

    def _resume(self) -> None:
        """Go on where the last process stopped; the first one begins at the end."""
        kept, _ = json_object(self._place)
        for path in (self._path, self._path.with_name(f"{self._path.name}.1")):
            with suppress(OSError):
                file = _File(open_regular(path), 0)
                offset = number(kept.get("offset"))
                if offset is not None and kept.get("inode") == file.inode:
                    file.offset = int(offset)
                    self._files = [file]
                    return
                os.close(file.descriptor)
        with suppress(OSError):
            file = _File(open_regular(self._path), 0)
            file.offset = os.fstat(file.descriptor).st_size
            self._files = [file]

    def _look_for_another(self) -> None:
        with suppress(OSError):
            if not self._files or self._path.lstat().st_ino != self._files[-1].inode:
                self._files.append(_File(open_regular(self._path), 0))

    def _keep(self) -> None:
        if self._files and (place := (self._files[-1].inode, self._files[-1].offset)) != self._kept:
            new = self._place.with_suffix(".new")
            new.write_text(json.dumps({"inode": place[0], "offset": place[1]}))
            new.replace(self._place)
            self._kept = place
