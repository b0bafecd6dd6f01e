"""Whether what a module names is an application at all, and of which interface."""

from __future__ import annotations

import inspect
from typing import Any, Literal

Kind = Literal["asgi", "wsgi", "factory"]


class InterfaceError(Exception):
    """What was imported is not served by the interface that the settings name. Says the fix."""


def kind(application: Any) -> Kind | None:
    """What an object is, by how it can be called; None where that does not tell."""
    if not callable(application) or inspect.isclass(application):
        return None
    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    required = len([one for one in positional if one.default is one.empty])
    if any(map(inspect.iscoroutinefunction, (application, type(application).__call__))):
        return "asgi"
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return None
    if required == 0:
        return "factory" if inspect.isroutine(application) else None
    return {2: "wsgi", 3: "asgi"}.get(required)  # type: ignore[return-value]  # mypy sees texts


def check(application: Any, module: str, interface: str) -> None:
    """Raise InterfaceError if an application is certainly not one of an interface.

    Args:
        application: as it was imported.
        module: where it was imported from.
        interface: `asgi` or `wsgi`.
    """
    found = kind(application)
    if found == "factory":
        raise InterfaceError(f"{module} is a function that returns an application: set module: {module}()")
    if found not in (None, interface):
        article = "an ASGI" if found == "asgi" else "a WSGI"
        raise InterfaceError(f"{module} is {article} application: set interface: {found}")
