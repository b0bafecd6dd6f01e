"""gunicorn as Farrier runs it: settings, a master that hands over without a gap, a worker that drains.

`SUPPORTED` is the one place that says which versions of the servers the hand-over was tested with.
This module and `configuration`, `release`, `status`, `change`, `reload`, `take_up` and `execute` need the
standard library only.
"""

from __future__ import annotations

# Distribution -> versions (first included, last excluded) whose internals the master and the worker build on.
SUPPORTED: dict[str, tuple[str, str]] = {
    "gunicorn": ("21", "28"),
    "uvicorn": ("0.29", "0.55"),
    "uvicorn-worker": ("0.2", "0.5"),
}


def supported(interface: str) -> dict[str, tuple[str, str]]:
    """Those of SUPPORTED that an app of an interface, `asgi` or `wsgi`, is served by."""
    names = SUPPORTED if interface == "asgi" else ("gunicorn",)
    return {name: SUPPORTED[name] for name in names}
