"""The servers: which there are, what each is made of, and in which versions it was tested.

Whatever serves, gunicorn's master starts, replaces and ends the workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Server:
    """What answers requests within a worker.

    Args:
        interface: of the apps that it serves, `asgi` or `wsgi`.
        default: the worker class that it is used by, unless the settings name another one of its own.
        supported: distribution to the first version whose internals are known, and the first that are not.
    """

    interface: str
    default: str
    supported: dict[str, tuple[str, str]]


_GUNICORN = {"gunicorn": ("21", "28")}
SERVERS = {
    "uvicorn": Server(
        "asgi",
        "handover",
        {**_GUNICORN, "uvicorn": ("0.29", "0.55"), "uvicorn-worker": ("0.2", "0.5")},
    ),
    "gthread": Server("wsgi", "handover_wsgi", _GUNICORN),
    "uwsgi": Server("wsgi", "handover_uwsgi", {**_GUNICORN, "pyuwsgi": ("2.0.23", "2.1")}),
    "gunicorn": Server("asgi", "handover_asgi", {"gunicorn": ("27", "28")}),
    "hypercorn": Server("asgi", "handover_hypercorn", {**_GUNICORN, "hypercorn": ("0.17", "0.19")}),
    "daphne": Server("asgi", "handover_daphne", {**_GUNICORN, "daphne": ("4.1", "4.3")}),
}


@dataclass(frozen=True)
class WorkerClass:
    """How a server is run.

    Args:
        server: name of it.
        path: of the class, as gunicorn imports it.
        hands_over: whether it drains, and waits for those who replace it.
    """

    server: str
    path: str
    hands_over: bool = True


WORKER_CLASSES = {
    "handover": WorkerClass("uvicorn", "farrier_gunicorn.worker.HandoverWorker"),
    "handover_h11": WorkerClass("uvicorn", "farrier_gunicorn.worker.HandoverWorkerH11"),
    "handover_wsgi": WorkerClass("gthread", "farrier_gunicorn.threads.HandoverThreadWorker"),
    "handover_uwsgi": WorkerClass("uwsgi", "farrier_gunicorn.uwsgi_worker.UwsgiWorker"),
    "handover_asgi": WorkerClass("gunicorn", "farrier_gunicorn.asgi_worker.GunicornWorker"),
    "handover_hypercorn": WorkerClass("hypercorn", "farrier_gunicorn.asgi_worker.HypercornWorker"),
    "handover_daphne": WorkerClass("daphne", "farrier_gunicorn.asgi_worker.DaphneWorker"),
    "stock": WorkerClass("uvicorn", "farrier_gunicorn.stock.UvicornWorker", hands_over=False),
    "stock_h11": WorkerClass("uvicorn", "farrier_gunicorn.stock.UvicornH11Worker", hands_over=False),
}


# What releases were built for before they said so.
_UNSAID = ("uvicorn", "gthread")


def of_release(worker_class: str, manifest: Mapping[str, Any]) -> str:
    """Return the worker class for a release, which has the packages of the server that it was built for.

    Args:
        worker_class: that the settings name by now.
        manifest: what is known of the release.
    """
    named = WORKER_CLASSES[worker_class].server
    server = manifest.get("server", named if named in _UNSAID else _UNSAID[0])
    return worker_class if server == named else SERVERS[server].default
