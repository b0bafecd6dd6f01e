"""What an ASGI app is told of where a request came from, by servers that leave it to the worker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from farrier_gunicorn.scope import BehindProxy

FORWARDED = [(b"x-forwarded-for", b"203.0.113.7, 192.0.2.1"), (b"x-forwarded-proto", b"https")]


def seen(scope: dict[str, Any], trusted: str = "*", root_path: str = "") -> dict[str, Any]:
    """The scope that the app gets for one that the server has made."""
    told: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.update(scope)

    given = {"path": "/cart", "raw_path": b"/cart", "headers": FORWARDED, "client": None, **scope}
    asyncio.run(BehindProxy(app, [trusted], root_path)(given, None, None))  # type: ignore[arg-type]  # not asked
    return told


@pytest.mark.parametrize(
    ("scope", "scheme"),
    [
        ({"type": "http", "scheme": "http"}, "https"),
        ({"type": "websocket", "scheme": "ws"}, "wss"),
        ({"type": "websocket"}, "wss"),
    ],
)
def test_client_and_scheme_are_what_the_proxy_says(scope: dict[str, Any], scheme: str) -> None:
    """Also where the server names no scheme, as Daphne for WebSockets."""
    told = seen(scope)
    assert (told["client"], told["scheme"]) == (("203.0.113.7", 0), scheme)


def test_nothing_is_believed_of_others() -> None:
    """And a scope is complete all the same."""
    told = seen({"type": "websocket", "client": ("198.51.100.1", 1234)}, trusted="192.0.2.0/24")
    assert (told["client"], told["scheme"]) == (("198.51.100.1", 1234), "ws")
    told = seen({"type": "http", "scheme": "http", "client": ("192.0.2.9", 1234)}, trusted="192.0.2.0/24")
    assert (told["client"], told["scheme"]) == (("203.0.113.7", 0), "https")


def test_path_has_the_prefix_that_the_proxy_took_away() -> None:
    """As uvicorn makes it."""
    told = seen({"type": "http", "scheme": "http"}, root_path="/shop")
    assert (told["root_path"], told["path"], told["raw_path"]) == ("/shop", "/shop/cart", b"/shop/cart")
