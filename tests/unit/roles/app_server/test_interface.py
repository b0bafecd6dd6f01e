"""What an application is, by how it is called; and what is said when it is not what the settings say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from farrier_gunicorn.interface import check, kind
from starlette.applications import Starlette

from tests.unit.roles.app_server.host import EXAMPLE_APP, Host
from tests.unit.roles.app_server.test_servers import WSGI_APP


class Flask:
    """Its shape."""

    def __call__(self, environ: Any, start_response: Any) -> Any: ...


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def legacy(*arguments: Any) -> None: ...


def create_app(config: Any = None) -> Any: ...


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        (Flask(), "wsgi"),
        (Starlette(), "asgi"),
        (asgi, "asgi"),
        (partial(asgi), "asgi"),
        (lambda environ, start_response: None, "wsgi"),
        (lambda scope, receive, send: None, "asgi"),
        (create_app, "factory"),
        (Flask, None),
        (legacy, None),
        (lambda scope: None, None),
        ({}, None),
    ],
)
def test_kind_is_known_by_the_call(application: Any, expected: str | None) -> None:
    """What could be either is nothing that is known."""
    assert kind(application) == expected


def test_what_is_not_known_is_left_to_the_server() -> None:
    """A wrong guess would keep a good release from going live."""
    check(legacy, "main:app", "asgi")
    check(legacy, "main:app", "wsgi")


@pytest.mark.parametrize(
    ("worker_class", "module", "code", "reason"),
    [
        ("handover", "example:app", WSGI_APP, "example:app is a WSGI application: set interface: wsgi"),
        ("stock", "example:app", WSGI_APP, "example:app is a WSGI application: set interface: wsgi"),
        (
            "handover_wsgi",
            "example:app",
            "async def app(scope, receive, send): ...",
            "example:app is an ASGI application: set interface: asgi",
        ),
        (
            "handover_wsgi",
            "example:create_app",
            f"{WSGI_APP}\ndef create_app(): return app",
            "example:create_app is a function that returns an application: set module: example:create_app()",
        ),
    ],
)
def test_release_of_another_interface_does_not_start_and_says_why(
    make_host: Callable[..., Host], worker_class: str, module: str, code: str, reason: str
) -> None:
    """With the line to write."""
    host = make_host(worker_class=worker_class, module=module)
    host.add_release("1", code=code)
    host.activate("1")
    host.start(wait=False)
    assert host.wait() != 0  # 1 in place of 3 when two workers of a stock master fail together
    failure = host.failure()
    assert (failure.error, failure.traceback) == (reason, "")
    assert reason in host.log.read_text()


@pytest.mark.parametrize("worker_class", ["handover", "handover_wsgi"])
def test_factory_is_called(make_host: Callable[..., Host], worker_class: str) -> None:
    """In each worker, after its release was entered."""
    host = make_host(worker_class=worker_class, module="example:create_app()")
    code = {"handover": EXAMPLE_APP, "handover_wsgi": WSGI_APP}[worker_class]
    host.add_release("1", code=code, prologue="def create_app(): return app")
    host.activate("1")
    host.start()
    assert host.get()["code"] == "1"
