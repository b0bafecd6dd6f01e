"""Find the application in a working tree, and write the entry of `apps` for it that development needs."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Below it, each app has a name of its own that no other lab uses.
DOMAIN = "develop.test"
# Where an application is looked for: in files of these names, at most one package deep.
STEMS = ("main", "app", "asgi", "wsgi", "application", "api", "server", "__init__")
ROOTS = ("src", "")
VARIABLES = ("app", "application")
FACTORIES = ("create_app", "make_app")
NO_APPLICATION = frozenset({"tests", "test", "docs", "build", "dist", "node_modules", "venv", "env"})
_OF_WSGI = re.compile(r"^\s*(from|import) (flask|bottle|falcon|pyramid|django\.core\.wsgi)\b", re.MULTILINE)
_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)["']""")
# Of an entry's source: what holds for a working tree, too.
_OF_A_PROJECT = ("subdir", "include", "extras", "groups")
# Of an inventory's entry: what has another value here, or no meaning without a release.
_LEFT_OUT = ("links", "port", "processes", "server", "timers")


class NotFoundError(Exception):
    """There is no such directory or application, or more than one. Says what to do."""


@dataclass(frozen=True)
class Application:
    """What was found.

    Args:
        module: `package.module:attribute`, or a call that returns the application.
        interface: `asgi` or `wsgi`.
        root: directory of the project that the module is imported from, "" for the project's own.
    """

    module: str
    interface: str
    root: str = ""


def find(project: Path, module: str = "") -> Application:
    """Find the application of a project.

    Args:
        project: its directory.
        module: where it is, if that is known.

    Raises:
        NotFoundError: it is not there, or there are several.
    """
    module = module or _declared(project) or _of_django(project)
    if module:
        return _located(project, module)
    found = list(_applications(project))
    # A variable is what is served; the factory beside it is how it is made.
    candidates = [one for one in found if not one.module.endswith(")")] or found
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise NotFoundError(
            f"{project} has no application that can be found by itself. Say where it is: "
            "MODULE=package.module:attribute"
        )
    listed = ", ".join(one.module for one in candidates)
    raise NotFoundError(f"{project} has more than one application. Say which one: MODULE={listed}")


def entry(
    tree: Path, module: str = "", known: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], Application]:
    """Return the entry of `apps` for a working tree, and what was found in it.

    Args:
        tree: the working tree.
        module: where the application is, if that is known.
        known: the app's entry in an inventory.

    Raises:
        NotFoundError: see `find`.
    """
    known = dict(known or {})
    source = {key: value for key, value in known.get("source", {}).items() if key in _OF_A_PROJECT}
    project = tree / (source.get("subdir") or "")
    if not project.is_dir():
        raise NotFoundError(f"{project} is not a directory. Say which one: APP=path")
    found = find(project, module or known.get("module", ""))
    name = known.get("name") or _slug(_pyproject(project).get("project", {}).get("name") or tree.name)
    static = {
        prefix: directory
        for prefix, directory in known.get("static", {}).items()
        # What a build makes is not here, and runserver answers it.
        if (project / directory).is_dir() and not is_django(project, found)
    }
    changed = {
        "name": name,
        "domains": [f"{name}.{DOMAIN}"],
        "source": {**source, "path": str(tree)},
        "module": found.module,
        "interface": (module and found.interface) or known.get("interface") or found.interface,
        "static": static,
        "app_paths": known.get("app_paths", []) if "/" in static else [],
        "certificate": {"source": "mkcert"},
        # Nothing is rehearsed: what is saved is what runs.
        "handover": "stop_first",
    }
    return {key: value for key, value in {**known, **changed}.items() if key not in _LEFT_OUT}, found


def server(project: Path, app: Mapping[str, Any]) -> str:
    """Return the command line of the development server, on the socket that systemd passes as descriptor 3.

    Args:
        project: directory of the project.
        app: its entry.
    """
    if app["interface"] == "wsgi":
        kind = "runserver runserver" if (project / "manage.py").is_file() else "wsgi"
        return f"python -m farrier_develop.{kind}"
    module = app["module"].removesuffix("()")
    factory = " --factory" if module != app["module"] else ""
    prefix = app.get("path", "/").rstrip("/")
    below = f" --root-path {prefix}" if prefix else ""
    return (
        f"python -m uvicorn {module}{factory} --fd 3 --reload --reload-include '*.html'"
        f" --forwarded-allow-ips '*'{below}"
    )


def choose(apps: Sequence[Mapping[str, Any]], tree: Path, name: str = "") -> Mapping[str, Any]:
    """Return the entry of a working tree among those of an inventory.

    Args:
        apps: of the inventory.
        tree: the working tree.
        name: of the app, if that was said.

    Raises:
        NotFoundError: it is not clear which.
    """
    of_the_tree = [app for app in apps if Path(app["source"].get("path") or "/").resolve() == tree]
    named = [app for app in apps if app["name"] == (name or tree.name)]
    for candidates in (named, of_the_tree, apps) if not name else (named,):
        if len(candidates) == 1:
            return candidates[0]
    names = ", ".join(app["name"] for app in apps)
    raise NotFoundError(f"Which app of the inventory is {tree}? Say NAME= and one of: {names or 'none'}")


def is_django(project: Path, found: Application) -> bool:
    """Whether Django's own runserver serves it."""
    return found.interface == "wsgi" and (project / "manage.py").is_file()


def _declared(project: Path) -> str:
    """What the project's own configuration says to FastAPI's command line."""
    return str(_pyproject(project).get("tool", {}).get("fastapi", {}).get("entrypoint") or "")


def _of_django(project: Path) -> str:
    manage = project / "manage.py"
    settings = _SETTINGS.search(manage.read_text(encoding="utf-8")) if manage.is_file() else None
    parts = settings[1].split(".")[:-1] if settings else []
    for length in range(len(parts), 0, -1):
        if project.joinpath(*parts[:length], "wsgi.py").is_file():
            return ".".join([*parts[:length], "wsgi:application"])
    return ""


def _located(project: Path, module: str) -> Application:
    dotted, _, attribute = module.partition(":")
    path = dotted.replace(".", "/")
    if not attribute or not re.fullmatch(r"\w+(\.\w+)*:\w+(\(.*\))?", module):
        raise NotFoundError(f"{module} is not of the form package.module:attribute: correct MODULE")
    if "(" in attribute and not attribute.endswith("()"):
        raise NotFoundError(f"{module}: development servers call a factory without arguments")
    elsewhere = sorted(
        str(one.parent.relative_to(project)) for one in project.glob(f"[!.]*/{path.split('/')[0]}")
    )
    for root in (*reversed(ROOTS), *elsewhere):
        for file in (project / root / f"{path}.py", project / root / path / "__init__.py"):
            if file.is_file():
                return Application(module, _interface(file.read_text(encoding="utf-8")), root)
    raise NotFoundError(f"{project} has no module {dotted}: correct MODULE={module}")


def _applications(project: Path) -> Iterator[Application]:
    for root in ROOTS:
        base = project / root
        files = [path for pattern in ("*.py", "[!.]*/*.py") for path in sorted(base.glob(pattern))]
        for path in files:
            package = path.relative_to(base).parts[:-1]
            if path.stem not in STEMS or NO_APPLICATION & set(package) or package == ("src",):
                continue
            dotted = ".".join([*package, *([path.stem] if path.stem != "__init__" else [])])
            text = path.read_text(encoding="utf-8", errors="replace")
            if dotted and (name := _name(text)):
                yield Application(f"{dotted}:{name}", _interface(text), root)


def _name(text: str) -> str:
    """Name of the application in a file, or ""."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return ""
    factory = ""
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id in VARIABLES:
                    return target.id
        if isinstance(node, ast.FunctionDef) and node.name in FACTORIES and not node.args.args:
            factory = f"{node.name}()"
    return factory


def _interface(text: str) -> str:
    return "wsgi" if _OF_WSGI.search(text) else "asgi"


def _pyproject(project: Path) -> dict[str, Any]:
    path = project / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise NotFoundError(f"{path} is not TOML: {error}") from None


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:26].strip("-")
    return slug or "working-tree"
