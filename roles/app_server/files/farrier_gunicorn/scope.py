"""What nginx says of a client, put where an ASGI app looks for it. uvicorn does so by itself."""

from __future__ import annotations

from collections.abc import Sequence

from farrier_gunicorn.answer import Send
from farrier_gunicorn.application import Application, Receive, Scope
from farrier_gunicorn.trust import Trust

# By type of the scope. Daphne leaves it open for WebSockets.
_SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}


class BehindProxy:
    """The app, whose requests say where they came from.

    Args:
        application: the app's own.
        trusted_proxies: whose X-Forwarded-* headers are believed: addresses and networks, or `*`.
        root_path: the app's URL prefix, which the proxy takes away, or "".
    """

    def __init__(self, application: Application, trusted_proxies: Sequence[str], root_path: str) -> None:
        self._application = application
        self._trust = Trust(trusted_proxies)
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            scope.setdefault("scheme", _SCHEMES[scope["type"]][0])
            if self._root_path:
                scope["root_path"] = self._root_path
                scope["path"] = self._root_path + scope["path"]
                if scope.get("raw_path"):
                    scope["raw_path"] = self._root_path.encode() + scope["raw_path"]
            peer = scope.get("client")
            if self._trust.believes(peer[0] if peer else ""):
                _believe(scope)
        await self._application(scope, receive, send)


def _believe(scope: Scope) -> None:
    headers = dict(scope["headers"])
    client = headers.get(b"x-forwarded-for", b"").partition(b",")[0].strip()
    if client:
        scope["client"] = (client.decode("latin-1"), 0)
    if headers.get(b"x-forwarded-proto") in (b"https", b"wss"):
        scope["scheme"] = _SCHEMES[scope["type"]][1]
