"""From the inventory's `source` to an archive in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import cache_file, completions, git
from .archive_tree import Entry, Tree, file_entry
from .errors import SourceError
from .project import Project, Wanted, inspect
from .selection import environment_notes, select

_DOWNLOAD_TIMEOUT_SECONDS = 60
_KEEP_DAYS = 30
# A file that changed this shortly before it was read may change again without a new time.
_RACY_SECONDS = 2
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Part of every key of the cache: raise it when the same source is to give another archive or other notes.
_FORMAT = 3


@dataclass(frozen=True)
class Archive:
    """An archive in the cache.

    Args:
        path: of the archive.
        sha256: of the archive.
        version: short commit, the version given, or the checksum's first 8 digits.
        bytes: size of the archive.
        project: what is in it.
        changed: whether it was made just now.
        notes: what was left out of it, or is in it and easily overlooked, a line each.
    """

    path: str
    sha256: str
    version: str
    bytes: int
    project: Project
    changed: bool
    notes: list[str] = field(default_factory=list)


def make_archive(source: dict[str, Any], cache: Path, *, version: str = "", module: str = "") -> Archive:
    """Make the archive of a source, or find it in the cache.

    Args:
        source: {path, include} or {git, version} or {archive, checksum}, with `subdir`, `extras`, `groups`.
        cache: directory for archives and mirrors; made when it is not there.
        version: of git, or of a path in a checkout: instead of what `source` says.
        module: of the application, to see whether it is there; "" not to.

    Raises:
        SourceError: the source is not there, is not what it should be, or cannot make a release.
    """
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = Wanted(
        (source.get("subdir") or "").strip("/"),
        module,
        tuple(source.get("extras") or ()),
        tuple(source.get("groups") or ()),
    )
    if source.get("path"):
        return _from_path(Path(source["path"]), source.get("include") or [], version, wanted, cache)
    if source.get("git"):
        return _from_git(source["git"], version or source.get("version") or "", wanted, cache)
    if source.get("archive"):
        if version:
            raise SourceError(
                f"A source of the kind archive has no versions: leave out version {version!r}, "
                "and set source.archive and source.checksum in the inventory."
            )
        return _from_archive(source["archive"], source.get("checksum") or "", wanted, cache)
    raise SourceError("source has no location: give path, git or archive.")


def _from_path(path: Path, include: list[str], version: str, wanted: Wanted, cache: Path) -> Archive:
    if not path.is_dir():
        raise SourceError(f"The source {path} is not a directory on the controller: correct source.path.")
    top = git.checkout_of(path)
    if version:
        if top is None:
            raise SourceError(
                f"{path} is not a git checkout, so it has no version {version!r}: "
                "deploy without version, or use source.git."
            )
        if include:
            raise SourceError(
                f"source.include sends files as they lie in {path}, beside no version: deploy without "
                f"version {version!r}, or remove source.include."
            )
        commit = git.commit_of(path, version)
        inside = os.path.relpath(path.resolve(), top.resolve())
        directory = "" if inside == "." else inside
        key = _key("commit", str(path), commit, directory, wanted)
        label = version if _VERSION.fullmatch(version) and git.is_tag(path, version) else commit[:10]
        return _cached(
            cache,
            key,
            label,
            lambda: Tree(git.entries_of(top, commit, directory), str(path)),
            wanted,
        )
    selection = select(path, is_checkout=top is not None, include=include, subdir=wanted.subdir)
    names = selection.names
    fingerprint, newest = _fingerprint(path, names)
    key = _key("path", str(path), fingerprint, wanted)
    racy = time.time() - newest < _RACY_SECONDS
    label = (git.clean_commit(path) or "") if top else ""

    def tree() -> Tree:
        return Tree(filter(None, (file_entry(path, name) for name in names)), str(path))

    archive = _cached(cache, key, label, tree, wanted, remember=not racy)
    return replace(archive, notes=selection.notes)


def _from_git(url: str, version: str, wanted: Wanted, cache: Path) -> Archive:
    if not version:
        raise SourceError(
            f"No version of {url} is given: pass -e version=REF, or source.version in the inventory."
        )
    mirror, commit = git.mirrored_commit(url, version, cache)
    key = _key("commit", url, commit, "", wanted)
    label = version if _VERSION.fullmatch(version) and git.is_tag(mirror, version) else commit[:10]
    return _cached(
        cache, key, label, lambda: Tree(git.entries_of(mirror, commit), f"{url} at {version}"), wanted
    )


def _from_archive(place: str, checksum: str, wanted: Wanted, cache: Path) -> Archive:
    sha256 = checksum.removeprefix("sha256:").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise SourceError(
            f"The archive {place} has no usable checksum {checksum!r}: set source.checksum to sha256:HEX."
        )
    key = _key("archive", sha256, wanted)

    def tree() -> Tree:
        file = _fetched(place, sha256, cache)
        try:
            with tarfile.open(file, "r:*") as tar:
                entries = git.entries_in(tar)
        except (tarfile.TarError, EOFError) as error:
            raise SourceError(
                f"{place} is not a tar archive ({error}): give a .tar.gz, .tar.xz or .tar."
            ) from None
        return Tree(_without_wrapper(entries, wanted.subdir), place)

    return _cached(cache, key, "", tree, wanted)


def _fetched(place: str, wanted: str, cache: Path) -> Path:
    """The archive's file with the right checksum, downloaded where it is an URL."""
    if "://" not in place:
        path = Path(place)
        try:
            found = _sha256(path)
        except OSError as error:
            raise SourceError(
                f"Cannot read the archive {place}: {error.strerror}. Correct source.archive."
            ) from None
        if found != wanted:
            raise _mismatch(place, found, wanted)
        return path
    path = cache / "downloads" / wanted
    if path.exists() and _sha256(path) == wanted:
        return path
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            with urllib.request.urlopen(place, timeout=_DOWNLOAD_TIMEOUT_SECONDS) as answer:
                while block := answer.read(1 << 18):
                    file.write(block)
            file.flush()
            found = _sha256(temporary)
            if found != wanted:
                raise _mismatch(place, found, wanted)
            temporary.rename(path)
        except (urllib.error.URLError, OSError) as error:
            raise SourceError(f"Cannot download {place}: {getattr(error, 'reason', error)}") from None
        finally:
            temporary.unlink(missing_ok=True)
    return path


def _mismatch(place: str, found: str, wanted: str) -> SourceError:
    return SourceError(
        f"{place} does not match its checksum: it has sha256:{found}, the inventory expects sha256:{wanted}. "
        "If the new content is what you want, correct source.checksum; if not, find out who changed it."
    )


def _without_wrapper(entries: list[Entry], subdir: str) -> list[Entry]:
    """Entries without the one directory that most release archives wrap everything in."""
    first = {entry.name.partition("/")[0] for entry in entries}
    if len(first) != 1 or any("/" not in entry.name for entry in entries):
        return entries
    wrapper = first.pop()
    if subdir.partition("/")[0] == wrapper:
        return entries
    return [
        Entry(entry.name.removeprefix(f"{wrapper}/"), entry.executable, entry.link, entry.read)
        for entry in entries
    ]


def _cached(
    cache: Path,
    key: str,
    label: str,
    tree: Callable[[], Tree],
    wanted: Wanted,
    *,
    remember: bool = True,
) -> Archive:
    """Find the archive of a key, or make it."""
    note = cache / "known" / f"{key}.json"
    known = _read_note(note, cache)
    if known is None:
        known = _make(cache, tree(), wanted)
        changed = known.pop("changed")
        if remember:
            cache_file.replace(note, json.dumps(known))
        _prune(cache)
    else:
        changed = False
    path = cache / f"{known['sha256']}.tar.gz"
    os.utime(path)
    project = Project(**known["project"])
    if "sha256" in project.lock:
        project.lock["completions"] = completions.load(cache, project.lock["sha256"])
    return Archive(
        path=str(path),
        sha256=known["sha256"],
        version=label or known["sha256"][:8],
        bytes=path.stat().st_size,
        project=project,
        changed=changed,
        notes=known["notes"],
    )


def _make(cache: Path, tree: Tree, wanted: Wanted) -> dict[str, Any]:
    if not tree.entries:
        raise SourceError(f"{tree.where} holds no files that belong in a release.")
    project = inspect(tree, wanted)
    with tempfile.NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as file:
        temporary = Path(file.name)
    try:
        sha256 = tree.write(temporary)
        path = cache / f"{sha256}.tar.gz"
        changed = not path.exists()
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    notes = environment_notes(tree.entries, wanted.subdir)
    return {"sha256": sha256, "project": asdict(project), "changed": changed, "notes": notes}


def _read_note(note: Path, cache: Path) -> dict[str, Any] | None:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return known if (cache / f"{known['sha256']}.tar.gz").exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _prune(cache: Path) -> None:
    """Forget what nobody has asked for in a month."""
    oldest = time.time() - _KEEP_DAYS * 86400
    for pattern in ("*.tar.gz", "*.part", "known/*.json", "downloads/*"):
        for path in cache.glob(pattern):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def _fingerprint(path: Path, names: list[str]) -> tuple[str, float]:
    """What the file system knows of the files, and when the newest changed (seconds since 1970)."""
    digest = hashlib.sha256()
    newest = 0.0
    for name in names:
        try:
            status = os.lstat(path / name)
        except FileNotFoundError:  # deleted, but still in git's index
            continue
        facts = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        digest.update(f"{name}\0{facts}\n".encode(errors="surrogateescape"))
        newest = max(newest, status.st_mtime, status.st_ctime)
    return digest.hexdigest(), newest


def _key(*parts: str | Wanted) -> str:
    return hashlib.sha256("\0".join(map(str, (_FORMAT, *parts))).encode(errors="surrogateescape")).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
