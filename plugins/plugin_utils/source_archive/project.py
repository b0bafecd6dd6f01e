"""What is in a source: the project, its lock file, and whether both can make a release."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name

from . import requirements_list
from .archive_tree import Tree
from .errors import SourceError
from .uv_lock import differences

_COMPILE = "uv pip compile --generate-hashes -o requirements.txt"
_MAKE_LOCK = f"Make one with `uv lock`, or `{_COMPILE} pyproject.toml`"
# The lock of a tool comes before lists that were made from it and may be older.
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "requirements.txt")
# A dependency in git, as each of these locks writes it.
_IN_GIT = re.compile(r'(?m)^[^#\n]*(\bgit\+|\bgit = "|\btype = "git"|"git": ")')
# What a lock can leave out or bring in on demand.
_CHOOSES = ("uv.lock", "poetry.lock", "pdm.lock")


@dataclass(frozen=True)
class Wanted:
    """What the inventory says about the project in a source.

    Args:
        subdir: where the project is; "" for the source itself.
        module: `package.module:attribute` of the application, or "" not to look for it.
        extras, groups: of dependencies, to be installed as well.
    """

    subdir: str = ""
    module: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """What the host has to know to build.

    Args:
        lock: `kind` (the usual name of such a lock file), `path` in the source, `unused` (other lock files
            beside it), and for requirements.txt `hashes`, and `sha256` and
            `completions` (known ones) where it has none.
        package: name of the project, "" without a pyproject.toml.
        requires_python: as in pyproject.toml or the Pipfile, or "".
        installable: whether the project is a package that is to be installed beside its dependencies.
        needs_git: whether the lock names dependencies in git.
        import_directory: directory of the project that Python is to import from as well, or "".
        extras, groups: of dependencies, to be installed as well.
    """

    lock: dict[str, Any]
    package: str
    requires_python: str
    installable: bool
    needs_git: bool = False
    import_directory: str = ""
    extras: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


def inspect(tree: Tree, wanted: Wanted) -> Project:
    """Look at the project in a source.

    Args:
        tree: the source.
        wanted: what the inventory says about it.

    Raises:
        SourceError: no such folder, no lock file, one that locks nothing or has not what is wanted, or
            no such module.
    """
    subdir = wanted.subdir
    if not tree.has_directory(subdir):
        found = sorted(name for name in tree.directories if "/" not in name)
        raise SourceError(
            f"{tree.where} has no folder {subdir} (source.subdir). "
            f"Folders there: {', '.join(found) or 'none'}."
        )
    data = _pyproject(tree, subdir)
    package = str(data.get("project", {}).get("name") or _tool(data, "poetry").get("name") or "")
    lock, text = _find_lock(tree, subdir, package, data)
    if lock["kind"] == "uv.lock" and (wrong := differences(text, data)):
        raise SourceError(
            f"{lock['path']} of {tree.where} does not match pyproject.toml, which now has other wishes for "
            f"{', '.join(wrong)}. Run `uv lock`, and commit the file."
        )
    _check_chosen(lock, data, wanted, tree.where)
    _check_module(tree, subdir, wanted.module)
    installable = _is_package(tree, subdir, package, data)
    return Project(
        lock=lock,
        package=package,
        requires_python=_requires_python(tree, subdir, data),
        installable=installable,
        needs_git=bool(_IN_GIT.search(text)),
        import_directory="src" if not installable and tree.has_directory(_join(subdir, "src")) else "",
        extras=list(wanted.extras),
        groups=list(wanted.groups),
    )


def _tool(data: dict[str, Any], name: str) -> dict[str, Any]:
    table = data.get("tool", {}).get(name, {})
    return table if isinstance(table, dict) else {}


def _is_package(tree: Tree, subdir: str, package: str, data: dict[str, Any]) -> bool:
    """Whether the project's own tool would build and install it."""
    by_uv = _tool(data, "uv").get("package")
    if isinstance(by_uv, bool):
        return by_uv
    poetry = _tool(data, "poetry")
    if (
        "build-system" not in data
        or poetry.get("package-mode") is False
        or _tool(data, "pdm").get("distribution") is False
    ):
        return False
    if not str(data["build-system"].get("build-backend", "")).startswith("poetry.") or "packages" in poetry:
        return True
    # Poetry's backend finds a package by the project's name alone, and fails where there is none.
    stem = re.sub(r"[-.]", "_", package)
    places = [_join(_join(subdir, base) if base else subdir, stem) for base in ("", "src")]
    return any(place in tree.directories or f"{place}.py" in tree.entries for place in places)


def _requires_python(tree: Tree, subdir: str, data: dict[str, Any]) -> str:
    """The versions that the project is made for, as the packaging specifications write them."""
    if "requires-python" in data.get("project", {}):
        return str(data["project"]["requires-python"])
    by_poetry = str(_tool(data, "poetry").get("dependencies", {}).get("python", ""))
    if by_poetry:
        return _specifier(by_poetry)
    pipfile = _toml(tree, _join(subdir, "Pipfile")).get("requires", {})
    version = pipfile.get("python_full_version") or pipfile.get("python_version")
    return f"=={version}" if pipfile.get("python_full_version") else f"=={version}.*" if version else ""


def _specifier(constraint: str) -> str:
    """Poetry's `^3.11`, `~3.11` and `3.11.*` as `>=3.11,<4`; "" for what only Poetry can read."""
    parts = []
    for part in constraint.split(","):
        match = re.fullmatch(r"\s*([\^~]|[<>=!]=?|~=|)\s*(\d+(?:\.\d+)*(?:\.\*)?)\s*", part)
        if not match:
            return ""
        operator, version = match.groups()
        numbers = [int(number) for number in version.split(".") if number != "*"]
        if operator in ("^", "~"):
            keep = 1 if operator == "^" or len(numbers) == 1 else 2
            end = [*numbers[: keep - 1], numbers[keep - 1] + 1]
            parts.append(f">={version},<{'.'.join(map(str, end))}")
        else:
            parts.append(f"{operator if operator not in ('', '=') else '=='}{version}")
    return ",".join(parts)


def _check_chosen(lock: dict[str, Any], data: dict[str, Any], wanted: Wanted, where: str) -> None:
    """Refuse extras and groups that the lock cannot have, or that the project does not know."""
    poetry, project = _tool(data, "poetry"), data.get("project", {})
    old_groups = _tool(data, "pdm").get("dev-dependencies", {})
    known = {
        "extras": {**project.get("optional-dependencies", {}), **poetry.get("extras", {})},
        "groups": {**data.get("dependency-groups", {}), **poetry.get("group", {}), **old_groups},
    }
    for key, names in known.items():
        for name in getattr(wanted, key):
            if lock["kind"] not in _CHOOSES:
                raise SourceError(
                    f"source.{key} names {name!r}, but a {lock['kind']} holds one set of packages: add what "
                    f"is missing to {lock['path']} of {where}, and remove source.{key}."
                )
            if canonicalize_name(name) not in map(canonicalize_name, names):
                raise SourceError(
                    f"{where} has no {key.removesuffix('s')} {name!r}: correct source.{key}. "
                    f"In its pyproject.toml: {', '.join(sorted(names)) or 'none'}."
                )


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _pyproject(tree: Tree, directory: str) -> dict[str, Any]:
    return _toml(tree, _join(directory, "pyproject.toml"))


def _toml(tree: Tree, name: str) -> dict[str, Any]:
    text = tree.text(name)
    try:
        return tomllib.loads(text) if text is not None else {}
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{name} of {tree.where} is not TOML: {error}") from None


def _find_lock(tree: Tree, subdir: str, package: str, data: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The lock file that counts, and its text."""
    present = [kind for kind in _LOCKS if _join(subdir, kind) in tree.entries]
    if "uv.lock" in present and "poetry" in data.get("tool", {}) and "project" not in data:
        # uv reads [project] alone: such a lock is empty.
        present.remove("uv.lock")
    workspace = _workspace_lock(tree, subdir, package)
    if workspace and present[:1] in ([], ["requirements.txt"]):
        return {"kind": "uv.lock", "path": workspace, "unused": present}, tree.text(workspace) or ""
    if not present:
        raise SourceError(
            f"{tree.where} has no lock file{f' for {subdir}' if subdir else ''}: "
            f"every deploy must install the same packages. {_how_to_lock(tree, subdir, data)}, "
            "and add it to the source."
        )
    kind, *unused = present
    lock: dict[str, Any] = {"kind": kind, "path": _join(subdir, kind), "unused": unused}
    text = tree.text(lock["path"]) or ""
    if kind == "requirements.txt":
        listed = requirements_list.read(tree, lock["path"], _how_to_lock(tree, subdir, data))
        text = listed.text
        lock["hashes"] = listed.hashes
        if not listed.hashes:
            # It may leave packages open: hosts know by this what completed it.
            lock["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return lock, text


def _how_to_lock(tree: Tree, subdir: str, data: dict[str, Any]) -> str:
    """By the tool that the project is made with."""
    tools = {"poetry": "poetry lock", "pdm": "pdm lock"}
    for tool, command in tools.items():
        if tool in data.get("tool", {}):
            return f"Make one with `{command}`"
    if _join(subdir, "Pipfile") in tree.entries:
        return "Make one with `pipenv lock`"
    if "project" in data or _join(subdir, "requirements.txt") not in tree.entries:
        return _MAKE_LOCK
    return f"Rename it to requirements.in, and make one with `{_COMPILE} requirements.in`"


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
