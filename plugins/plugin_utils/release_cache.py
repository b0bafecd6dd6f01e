"""The controller's cache of release files on their way between hosts: each content once, by checksum.

Indexes and packs are those of `farrier-release`: what is in them is data from a host, and is checked before
it becomes the name of a file or a content that other hosts get.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

# Contents stay as long as one of this many last indexes has them.
KEPT_INDEXES = 10
_KEPT_PACKS_SECONDS = 86_400
_CHUNK_BYTES = 1 << 18
_SHA256 = re.compile(r"[0-9a-f]{64}")


class CacheError(Exception):
    """What a host has sent is not what it should be, or something is no longer there."""


class ReleaseCache:
    """A directory with indexes, contents, and packs that are made of these. Several processes may use it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._indexes, self._contents, self._packs = (
            directory / name for name in ("indexes", "contents", "packs")
        )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self._indexes, self._contents, self._packs):
            path.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def arrivals(self) -> Iterator[Path]:
        """A private directory for what is fetched from a host."""
        with tempfile.TemporaryDirectory(dir=self._packs) as directory:
            yield Path(directory)

    def add_index(self, arrived: Path, sha256: str) -> Path:
        """Keep an index; what the last indexes no longer have goes.

        Args:
            arrived: the file, which is moved.
            sha256: its checksum, according to the host.

        Returns:
            Where it is kept.

        Raises:
            CacheError: it is damaged, or no index.
        """
        if hashlib.sha256(arrived.read_bytes()).hexdigest() != sha256:
            raise CacheError("The index of the release was damaged in transit. Next: deploy again")
        _sizes(arrived)
        kept = self._indexes / f"{sha256}.json.gz"
        with self._locked():
            _keep(arrived, kept)
            self._prune()
        return kept

    def lacking(self, index: Path) -> list[str]:
        """Checksums of the contents of an index that are not here."""
        here = {path.name for path in self._contents.iterdir()}
        return [sha256 for sha256 in _sizes(index) if sha256 not in here]

    def add_pack(self, arrived: Path, index: Path, wanted: Sequence[str]) -> None:
        """Keep the contents of a pack.

        Args:
            arrived: the file, which is moved: mostly the next host wants just the same.
            index: the index that they are of.
            wanted: their checksums.

        Raises:
            CacheError: the pack holds anything else, or not all of it.
        """
        sizes = _sizes(index)
        left = {sha256: sizes[sha256] for sha256 in wanted}
        try:
            with tarfile.open(arrived, "r|gz") as tar:
                for member in tar:
                    size = left.pop(member.name, None)
                    content = tar.extractfile(member) if member.isreg() and size == member.size else None
                    if content is None:
                        raise CacheError(f"The pack holds {member.name!r}, which was not requested.")
                    self._add(member.name, content, arrived.parent)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CacheError(f"The pack is damaged: {error}. Next: deploy again") from None
        if left:
            raise CacheError(f"The pack lacks {len(left)} contents. Next: deploy again")
        _keep(arrived, self._pack_path(wanted))

    def pack(self, index: Path, wanted: Sequence[str]) -> Path:
        """A pack of contents; made once, however many hosts want the same.

        Args:
            index: the index that they are of: no host gets others.
            wanted: their checksums.

        Raises:
            CacheError: they are not of that index, or no longer here.
        """
        if set(wanted) - set(_sizes(index)):
            raise CacheError("The host asks for files that are not in this release.")
        path = self._pack_path(wanted)
        with self._locked(), self.arrivals() as directory:
            if path.exists():
                os.utime(path)
                return path
            with tarfile.open(directory / "pack", "w:gz", compresslevel=1, format=tarfile.GNU_FORMAT) as tar:
                for sha256 in wanted:
                    content = self._read(sha256)
                    member = tarfile.TarInfo(sha256)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            _keep(directory / "pack", path)
        return path

    def _read(self, sha256: str) -> bytes:
        path = self._contents / sha256
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise CacheError(f"{path} is gone. Next: deploy again") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            path.unlink()
            raise CacheError(f"{path} was damaged and has been removed. Next: deploy again")
        return content

    def _add(self, sha256: str, content: IO[bytes], directory: Path) -> None:
        arrived = directory / "content"
        digest = hashlib.sha256()
        with arrived.open("wb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise CacheError(f"The content {sha256} is damaged. Next: deploy again")
        _keep(arrived, self._contents / sha256)

    def _pack_path(self, wanted: Sequence[str]) -> Path:
        name = hashlib.sha256("".join(sorted(wanted)).encode()).hexdigest()
        return self._packs / f"{name}.tar.gz"

    def _prune(self) -> None:
        """Reading indexes takes a while: it is done when twice as many are there as stay."""
        for path in self._packs.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _KEPT_PACKS_SECONDS:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        indexes = sorted(self._indexes.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        if len(indexes) < 2 * KEPT_INDEXES:
            return
        for path in indexes[:-KEPT_INDEXES]:
            path.unlink()
        used: set[str] = set()
        for path in indexes[-KEPT_INDEXES:]:
            try:
                used.update(_sizes(path))
            except CacheError:
                path.unlink()
        for path in self._contents.iterdir():
            if path.name not in used:
                path.unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _keep(arrived: Path, kept: Path) -> None:
    """Move a file to where it stays, in one step; its mode goes with it to hosts."""
    arrived.chmod(0o600)
    os.utime(arrived)
    arrived.rename(kept)


def _sizes(index: Path) -> dict[str, int]:
    """Checksums of the contents of an index, with their sizes in bytes.

    Raises:
        CacheError: it is no index, or no longer there.
    """
    try:
        files = json.loads(gzip.decompress(index.read_bytes()))["files"]
        found = {sha256: size for _path, _mode, size, _mtime_ns, sha256 in files}
        # Each becomes the name of a file.
        good = all(_SHA256.fullmatch(sha256) and type(size) is int for sha256, size in found.items())
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
        raise CacheError(f"{index} cannot be read: {error}. Next: deploy again") from None
    if not good:
        raise CacheError(f"{index} is not the index of a release.")
    return found
