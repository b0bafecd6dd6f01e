"""Copy a release byte for byte from the host that built it to others of the same platform.

The building host offers an index of its files (offer) and bundles what somebody lacks (pack). A receiving
host says what it lacks (want), and makes the release of what travelled and of what it has (receive), which
is in place of a build and ends as one does: nothing of it counts before the manifest is written.

What a host has in another of its releases is linked: all of them are sealed, see `seal`. Where mode or time
differ it is copied, since links share these.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from farrier_release import build
from farrier_release.application import Application
from farrier_release.errors import ReleaseError, UsageError
from farrier_release.index import (
    File,
    Index,
    NotPortableError,
    check,
    decode,
    index_of,
    open_own,
    unaltered,
)
from farrier_release.seal import is_sealed
from farrier_release.server_packages import installed_packages
from farrier_release.state import Transaction
from farrier_release.storage import sync_file_system, write_bytes

_CHUNK_BYTES = 1 << 18

Result = dict[str, Any]


def offer(application: Application, transaction: Transaction, output: Path) -> Result:
    """Write the index of the transaction's release, which has been built, to a new file.

    Returns:
        `offered`, whether other hosts can have the release (else they have to build it), and `sha256` of
        the index.

    Raises:
        UsageError: it has not been built.
    """
    manifest = application.releases.manifest(transaction.release)
    if manifest is None:
        raise UsageError(f"offer comes after build, which has not run for {transaction.release}.")
    try:
        data = index_of(application, transaction.release)
        index = decode(data)
        check(index, manifest["python"]["executable"])
    except NotPortableError as error:
        message = f"Other hosts have to build {transaction.release} themselves: {error}."
        return {"changed": False, "offered": False, "message": message}
    with _create_for_the_caller(output) as file:
        file.write(data)
    return {
        "changed": False,
        "offered": True,
        "sha256": hashlib.sha256(data).hexdigest(),
        "message": f"{transaction.release} has {len(index.files)} files for other hosts of its platform.",
    }


def pack(application: Application, transaction: Transaction, wanted: Sequence[str], output: Path) -> Result:
    """Write a tar archive of contents to a new file, each a member that is named after its SHA-256 sum.

    Args:
        application: whose release.
        transaction: whose release has been offered.
        wanted: the sums.
        output: the new file.

    Raises:
        UsageError: the release has no such content, or was not offered.
    """
    if not application.releases.index_path(transaction.release).is_file():
        raise UsageError(f"pack comes after offer, which has not run for {transaction.release}.")
    files = {file.sha256: file for file in decode(index_of(application, transaction.release)).files}
    unknown = [sha256 for sha256 in wanted if sha256 not in files]
    if unknown:
        raise UsageError(f"{transaction.release} has no file with the checksum {unknown[0]}.")
    root = application.configuration.release_directory(transaction.release)
    # What is packed is sent over a network, where little compression is worth more than none or much.
    with (
        _create_for_the_caller(output) as file,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=1, format=tarfile.GNU_FORMAT) as tar,
    ):
        for sha256 in wanted:
            member = tarfile.TarInfo(sha256)
            member.size = files[sha256].size
            with open_own(f"{root}/{files[sha256].path}") as content:
                tar.addfile(member, content)
    return {"changed": False, "message": f"{len(wanted)} contents of {transaction.release} are packed."}


def want(application: Application, transaction: Transaction, index_file: Path, sha256: str) -> Result:
    """Say what this host lacks for a release.

    Args:
        application: whose release.
        transaction: of the deploy, with the same release stamp as the building host's.
        index_file: the index that was offered.
        sha256: of that file.

    Returns:
        `missing`, the SHA-256 sums of contents that no release here has.

    Raises:
        ReleaseError: the release does not belong on this host.
    """
    index = _accept(application, transaction, index_file.read_bytes(), sha256)
    holdings = _Holdings(application)
    missing = list(dict.fromkeys(file.sha256 for file in index.files if holdings.find(file) is None))
    return {
        "changed": False,
        "missing": missing,
        "message": f"{transaction.release} has {len(missing)} contents that this host lacks.",
    }


def receive(
    application: Application, transaction: Transaction, index_file: Path, sha256: str, pack_file: Path | None
) -> Result:
    """Make the transaction's release of what travelled and of what this host has.

    Args:
        application: whose release.
        transaction: of the deploy.
        index_file, sha256: as for `want`.
        pack_file: what holds the contents that `want` named; None where it named none.

    Raises:
        ReleaseError: it does not belong on this host, or something is damaged or lacking.
    """
    began_at = time.time()
    settings = application.configuration
    data = index_file.read_bytes()
    index = _accept(application, transaction, data, sha256)
    holdings = _Holdings(application)
    root = settings.release_directory(transaction.release)
    root.mkdir(mode=0o755)
    for directory in index.directories:
        (root / directory.path).mkdir(mode=0o700)
    travelling: dict[str, list[File]] = {}
    linked = 0
    for file in index.files:
        held = holdings.find(file)
        if held is not None and _link(held, root, file):
            linked += 1
            continue
        if held is None:
            travelling.setdefault(file.sha256, []).append(file)
        else:
            with open_own(held[0]) as source:
                _write(root, file, source)
    travelled = len(travelling)
    _unpack(pack_file, root, travelling)
    # After everything else: nothing is ever written through one.
    for link in index.links:
        (root / link.path).symlink_to(link.target)
    for directory in index.directories:
        (root / directory.path).chmod(directory.mode)
    sync_file_system(root)
    packages = installed_packages(root / ".venv")
    build.record(application, transaction, transaction.request["python"], packages, began_at)
    write_bytes(application.releases.index_path(transaction.release), data, durable=True)
    return {
        "changed": True,
        "files": len(index.files),
        "travelled": travelled,
        "linked": linked,
        "message": f"{transaction.release} has arrived: {len(index.files)} files, {travelled} transferred.",
    }


class _Holdings:
    """The contents that this host has in its releases."""

    def __init__(self, application: Application) -> None:
        releases = application.releases
        live = releases.live()
        # By checksum, and by all that a link has in common with what it is linked to.
        self._files: dict[Any, list[tuple[str, File]]] = {}
        for release in releases.all():
            # The live one is read once, when it was built here; no other is worth that.
            if releases.manifest(release) and (release == live or releases.index_path(release).is_file()):
                self._add(application, release)

    def find(self, wanted: File) -> tuple[str, File] | None:
        """A file of the same content, if possible of the same mode and time too: its path, and what it is."""
        for key in (wanted[1:], wanted.sha256):
            for held in self._files.get(key, ()):
                if unaltered(*held):
                    return held
        return None

    def _add(self, application: Application, release: str) -> None:
        root = application.configuration.release_directory(release)
        try:
            index = decode(index_of(application, release))
        except (NotPortableError, OSError):
            return
        for file in index.files:
            for key in (file[1:], file.sha256):
                self._files.setdefault(key, []).append((f"{root}/{file.path}", file))


def _accept(application: Application, transaction: Transaction, data: bytes, sha256: str) -> Index:
    """The index, if it is undamaged and of a release that this host could as well have built itself.

    Raises:
        ReleaseError: it is not.
    """
    again = "deploy again"
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ReleaseError(f"The index of {transaction.release} was damaged in transit.", next_command=again)
    python = transaction.request.get("python")
    if python is None:
        raise UsageError(
            f"{transaction.release} was begun without a release_stamp: it can only be built here."
        )
    try:
        index = decode(data)
        check(index, python["executable"])
    except NotPortableError as error:
        raise ReleaseError(
            f"The index of {transaction.release} is refused: {error}.", next_command=again
        ) from None
    for what, offered, here in (
        ("release", index.release, transaction.release),
        ("platform", index.platform, transaction.request["platform"]),
    ):
        if offered != here:
            raise UsageError(f"The offered {what} is {offered!r}; this host's is {here!r}.")
    for key, here in transaction.request["inputs"].items():
        if index.inputs.get(key) != here:
            raise ReleaseError(
                f"{transaction.release} was built with other settings than this host's: {key} is "
                f"{index.inputs.get(key)!r} there and {here!r} here.",
                next_command="ansible-playbook farrier.kit.site --tags app_server,release, then deploy again",
            )
    return index


def _link(held: tuple[str, File], root: Path, file: File) -> bool:
    if held[1][1:] != file[1:] or not is_sealed(held[0]):
        return False
    try:
        os.link(held[0], root / file.path, follow_symlinks=False)
    except OSError:  # no more links to this one
        return False
    return True


def _unpack(pack_file: Path | None, root: Path, travelling: dict[str, list[File]]) -> None:
    """Write what travelled; empties `travelling`.

    Raises:
        ReleaseError: something else is in the pack, or something is lacking.
    """
    if pack_file is not None:
        try:
            with tarfile.open(pack_file, "r|gz") as tar:
                for member in tar:
                    _unpack_one(tar, member, root, travelling)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ReleaseError(f"The pack is damaged: {error}", next_command="deploy again") from None
    if travelling:
        lacking = next(iter(travelling.values()))[0].path
        raise ReleaseError(
            f"The pack lacks {len(travelling)} contents, such as that of {lacking}.",
            next_command="deploy again",
        )


def _unpack_one(
    tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, travelling: dict[str, list[File]]
) -> None:
    files = travelling.pop(member.name, [])
    content = tar.extractfile(member) if files and member.isreg() else None
    if content is None:
        raise ReleaseError(
            f"The pack holds {member.name!r}, which was not requested.", next_command="deploy again"
        )
    _write(root, files[0], content)
    for file in files[1:]:
        with open_own(f"{root}/{files[0].path}") as again:
            _write(root, file, again)


def _write(root: Path, file: File, source: IO[bytes]) -> None:
    """Write a new file of a release.

    Raises:
        ReleaseError: the source does not hold what it should.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    digest = hashlib.sha256()
    with os.fdopen(os.open(root / file.path, flags, 0o600), "wb") as target:
        left = file.size + 1  # one more shows what is too long
        while chunk := source.read(min(left, _CHUNK_BYTES)):
            digest.update(chunk)
            target.write(chunk)
            left -= len(chunk)
        if digest.hexdigest() != file.sha256:
            raise ReleaseError(f"The content of {file.path} is damaged.", next_command="deploy again")
        target.flush()
        os.fchmod(target.fileno(), file.mode)
        os.utime(target.fileno(), ns=(file.mtime_ns, file.mtime_ns))


def _create_for_the_caller(path: Path) -> IO[bytes]:
    """Create a file that whoever owns its directory, and nobody else, can fetch."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o600), "wb")
    owner = path.parent.stat()
    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    return file
