"""Sources in git."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
from functools import partial
from itertools import pairwise
from pathlib import Path

from .archive_tree import Entry, left_out
from .errors import SourceError

_FULL_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_FETCH_TIMEOUT_SECONDS = 300


def checkout_of(path: Path) -> Path | None:
    """Top directory of the git checkout that a directory belongs to, or None.

    Raises:
        SourceError: it belongs to one that git refuses, as when somebody else owns it.
    """
    done = _git(["rev-parse", "--show-toplevel"], path)
    if done.returncode == 0:
        return Path(done.stdout.strip())
    if "not a git repository" in done.stderr and not (path / ".git").exists():
        return None
    raise SourceError(f"git refuses the checkout {path}: {_words(done)}")


def listed_files(path: Path) -> tuple[list[str], list[str]]:
    """Files of a directory in a checkout: what git tracks, and what it would; .gitignore's are in neither.

    Raises:
        SourceError: git cannot list them, or a submodule is not checked out.
    """
    done = _git(["ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"], path)
    if done.returncode != 0:
        raise SourceError(f"git cannot list the files of {path}: {_words(done)}")
    tracked, others = set(), []
    for tag, name in (line.split(" ", 1) for line in done.stdout.split("\0") if line):
        if tag == "?":
            others.append(name)
        elif (path / name).is_dir() and not (path / name).is_symlink():
            inner, more = _submodule(path, name)
            tracked.update(inner)
            others += more
        else:
            tracked.add(name)
    return sorted(tracked), others


def _submodule(path: Path, name: str) -> tuple[list[str], list[str]]:
    if not (path / name / ".git").exists():
        raise SourceError(
            f"The submodule {name} of {path} is not checked out: run "
            f"`git -C {path} submodule update --init --recursive`."
        )
    tracked, others = listed_files(path / name)
    return [f"{name}/{file}" for file in tracked], [f"{name}/{file}" for file in others]


def ignored_directories(path: Path) -> list[str]:
    """Directories of a checkout all of which .gitignore leaves out."""
    done = _git(["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"], path)
    names = sorted(name for name in done.stdout.split("\0") if name.endswith("/"))
    # git also lists a directory that holds nothing but such directories, which come right after it.
    return [name[:-1] for name, after in pairwise([*names, ""]) if not after.startswith(name)]


def clean_commit(path: Path) -> str | None:
    """Short commit of a directory in a checkout, or None when files in it differ from the commit."""
    status = _git(["status", "--porcelain", "--untracked-files=all", "--", "."], path)
    if status.returncode != 0 or status.stdout.strip():
        return None
    done = _git(["rev-parse", "--short=10", "HEAD"], path)
    return done.stdout.strip() if done.returncode == 0 else None


def commit_of(path: Path, version: str) -> str:
    """Full commit of a version in a local checkout.

    Raises:
        SourceError: there is none.
    """
    commit = _resolve(path, version)
    if commit is None:
        raise SourceError(
            f"{path} has no version {version!r}. `git -C {path} tag` lists tags, `git log` commits."
        )
    return commit


def is_tag(repository: Path, version: str) -> bool:
    """Whether a version is a tag: a name that stays with its commit, unlike a branch."""
    return _git(["rev-parse", "--verify", "--quiet", f"refs/tags/{version}"], repository).returncode == 0


def mirrored_commit(url: str, version: str, cache: Path) -> tuple[Path, str]:
    """Bring a version of a repository into a bare mirror in the cache.

    Returns:
        The mirror, and the version's full commit.

    Raises:
        SourceError: the repository cannot be reached, or has no such version.
    """
    if version.startswith("-"):
        raise SourceError(f"{version!r} is not a version: it begins with a dash.")
    mirror = cache / "git" / hashlib.sha256(url.encode()).hexdigest()[:16]
    if not (mirror / "HEAD").exists():
        mirror.mkdir(parents=True, exist_ok=True)
        _must(["init", "--quiet", "--bare", "."], mirror, f"Cannot make {mirror}")
    if _FULL_COMMIT.fullmatch(version) and _resolve(mirror, version):
        return mirror, version
    refspecs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    _must(
        ["fetch", "--quiet", "--prune", "--no-auto-gc", "--", url, *refspecs],
        mirror,
        f"Cannot fetch {url}",
    )
    commit = _resolve(mirror, version)
    if commit is None and _FULL_COMMIT.fullmatch(version):
        # A commit that no branch or tag leads to; some servers give it when asked by name.
        _git(["fetch", "--quiet", "--", url, version], mirror)
        commit = _resolve(mirror, version)
    if commit is None:
        known = _git(
            ["for-each-ref", "--format=%(refname:short)", "--sort=-creatordate", "--count=8"], mirror
        ).stdout
        raise SourceError(
            f"{url} has no version {version!r}. "
            f"Newest branches and tags: {', '.join(known.split()) or 'none'}."
        )
    return mirror, commit


def entries_of(repository: Path, commit: str, directory: str = "") -> list[Entry]:
    """All files of a commit, or of one directory of it.

    Raises:
        SourceError: git cannot read it, or it has submodules, which are in other repositories.
    """
    tree = f"{commit}:{directory}" if directory else commit
    _refuse_submodules(repository, tree)
    with tempfile.TemporaryFile() as file:
        done = subprocess.run(
            ["git", "archive", "--format=tar", tree],
            cwd=repository,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
            check=False,
        )
        if done.returncode != 0:
            raise SourceError(f"git cannot read {tree} of {repository}: {done.stderr.strip()}")
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            return entries_in(tar)


def entries_in(tar: tarfile.TarFile) -> list[Entry]:
    """Entries of an archive, with the content of their files in memory.

    Raises:
        SourceError: it holds something that is no part of a source.
    """
    entries = []
    for member in tar:
        name = member.name.removeprefix("./").rstrip("/")
        if member.isdir() or left_out(name):
            continue
        if name.startswith("/") or ".." in name.split("/"):
            raise SourceError(
                f"The archive's entry {member.name!r} points outside it: do not use this archive."
            )
        if member.issym():
            entries.append(Entry(name, link=member.linkname))
        elif member.isreg() or member.islnk():
            file = tar.extractfile(member)
            content = file.read() if file else b""
            entries.append(Entry(name, executable=bool(member.mode & 0o100), read=partial(bytes, content)))
        else:
            raise SourceError(f"The archive's entry {member.name!r} is a device or the like: not a source.")
    return entries


def _refuse_submodules(repository: Path, tree: str) -> None:
    listed = _git(["ls-tree", "-r", "-z", tree], repository)
    names = [
        line.partition("\t")[2] for line in listed.stdout.split("\0") if line.startswith("160000 commit ")
    ]
    if names:
        raise SourceError(
            f"The source has submodules, which no commit contains: {', '.join(names)}. Commit their files, "
            "or give a checkout with them (`git clone --recurse-submodules`) as source.path, without version."
        )


def _resolve(repository: Path, version: str) -> str | None:
    done = _git(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{version}^{{commit}}"], repository)
    return done.stdout.strip() if done.returncode == 0 else None


def _must(arguments: list[str], directory: Path, what: str) -> None:
    done = _git(arguments, directory)
    if done.returncode != 0:
        raise SourceError(f"{what}: {_words(done)}")


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """What git itself said, all of it."""
    return done.stderr.strip() or f"git gave no reason (exit code {done.returncode})"


def _git(arguments: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=directory,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env=_environment(),
            timeout=_FETCH_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed on the controller: install it.") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {arguments[0]} took longer than {_FETCH_TIMEOUT_SECONDS} s.") from None


def _environment() -> dict[str, str]:
    # Asking for a password would wait for ever: nobody sees the question.
    return {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
        "LC_ALL": "C.UTF-8",
    }
