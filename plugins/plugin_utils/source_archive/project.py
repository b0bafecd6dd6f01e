"""What is in a source: the project, its lock file, and whether both can make a release."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .archive_tree import Tree
from .errors import SourceError

_MAKE_LOCK = (
    "Make one with `uv lock`, or `uv pip compile --generate-hashes -o requirements.txt pyproject.toml`"
)
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*===?\s*[^\s;,*]+\s*(;.*)?")
_DIRECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*@\s*\S+.*")
_INDEX_OPTION = re.compile(
    r"(-i|-f|--(index-url|extra-index-url|find-links|no-index|only-binary|no-binary|prefer-binary))\b"
)
_HASH = re.compile(r"\s--hash[= ]\s*\S+")


@dataclass(frozen=True)
class Project:
    """What the host has to know to build.

    Args:
        lock: `kind` (uv.lock, pylock.toml or requirements.txt), `path` in the source, `hashes` for
            requirements.txt.
        package: name of the project, "" without a pyproject.toml.
        requires_python: as in pyproject.toml, or "".
        installable: whether the project is a package that is to be installed beside its dependencies.
    """

    lock: dict[str, Any]
    package: str
    requires_python: str
    installable: bool


def inspect(tree: Tree, subdir: str, module: str) -> Project:
    """Look at the project in a source.

    Args:
        tree: the source.
        subdir: where the project is; "" for the source itself.
        module: `package.module:attribute` of the application, or "" not to look for it.

    Raises:
        SourceError: no such folder, no lock file, a lock file that locks nothing, or no such module.
    """
    if not tree.has_directory(subdir):
        found = sorted(name for name in tree.directories if "/" not in name)
        raise SourceError(
            f"{tree.where} has no folder {subdir} (source.subdir). "
            f"Folders there: {', '.join(found) or 'none'}."
        )
    data = _pyproject(tree, subdir)
    project = data.get("project", {})
    package = str(project.get("name", ""))
    lock = _find_lock(tree, subdir, package)
    _check_module(tree, subdir, module)
    return Project(
        lock=lock,
        package=package,
        requires_python=str(project.get("requires-python", "")),
        installable="build-system" in data
        and data.get("tool", {}).get("uv", {}).get("package", True) is not False,
    )


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _pyproject(tree: Tree, directory: str) -> dict[str, Any]:
    name = _join(directory, "pyproject.toml")
    text = tree.text(name)
    try:
        return tomllib.loads(text) if text is not None else {}
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{name} of {tree.where} is not TOML: {error}") from None


def _find_lock(tree: Tree, subdir: str, package: str) -> dict[str, Any]:
    for kind in ("uv.lock", "pylock.toml"):
        if _join(subdir, kind) in tree.entries:
            return {"kind": kind, "path": _join(subdir, kind)}
    workspace = _workspace_lock(tree, subdir, package)
    if workspace:
        return {"kind": "uv.lock", "path": workspace}
    name = _join(subdir, "requirements.txt")
    text = tree.text(name)
    if text is None:
        raise SourceError(
            f"{tree.where} has no lock file{f' for {subdir}' if subdir else ''}: "
            f"every deploy must install the same packages. {_MAKE_LOCK}, and add it to the source."
        )
    return {
        "kind": "requirements.txt",
        "path": name,
        "hashes": _check_pinned(text, f"{name} of {tree.where}"),
    }


def _workspace_lock(tree: Tree, subdir: str, package: str) -> str:
    """Path of the lock of the uv workspace that a project belongs to, or ""."""
    if not subdir or not package:
        return ""
    for parent in PurePosixPath(subdir).parents:
        directory = "" if str(parent) == "." else str(parent)
        if _join(directory, "uv.lock") not in tree.entries:
            continue
        workspace = _pyproject(tree, directory).get("tool", {}).get("uv", {}).get("workspace")
        member = str(PurePosixPath(subdir).relative_to(directory or "."))
        if isinstance(workspace, dict) and _is_member(member, workspace):
            return _join(directory, "uv.lock")
    return ""


def _is_member(path: str, workspace: dict[str, Any]) -> bool:
    def matches(key: str) -> bool:
        return any(PurePosixPath(path).match(pattern.rstrip("/")) for pattern in workspace.get(key, []))

    return matches("members") and not matches("exclude")


def _check_pinned(text: str, where: str) -> bool:
    """Whether every requirement carries hashes.

    Raises:
        SourceError: one is not pinned, or only some carry hashes.
    """
    entries = []
    for logical in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", logical).strip()
        if not line or _INDEX_OPTION.match(line):
            continue
        bare = _HASH.sub("", f" {line}").strip()
        if not (_PINNED.fullmatch(bare) or _DIRECT.fullmatch(bare)):
            raise SourceError(f"{where} does not pin {bare!r} to a version with ==. {_MAKE_LOCK}.")
        entries.append("--hash" in line)
    if any(entries) and not all(entries):
        raise SourceError(f"{where} has hashes for some requirements and none for others. {_MAKE_LOCK}.")
    return bool(entries) and all(entries)


def _check_module(tree: Tree, subdir: str, module: str) -> None:
    """Refuse a module that cannot be there; one of a package that lies elsewhere is left to the rehearsal."""
    dotted = module.partition(":")[0]
    path = dotted.replace(".", "/")
    if "/" not in path:
        return
    for base in ("", "src"):
        root = _join(_join(subdir, base) if base else subdir, "")
        package = f"{root}{path.rpartition('/')[0]}"
        if package not in tree.directories:
            continue
        stem = f"{root}{path}"
        if stem in tree.directories or any(name.startswith(f"{stem}.") for name in tree.entries):
            return
        raise SourceError(
            f"{package} of {tree.where} has no module {path.rpartition('/')[2]} (module: {module})."
        )
