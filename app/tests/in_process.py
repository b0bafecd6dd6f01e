"""The application called in the process of the tests, where its parts can be replaced."""

import asyncio
from functools import partialmethod
from typing import Any

import httpx
from starlette.types import ASGIApp


class Client:
    """Sends requests straight to an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request and wait for the whole answer."""

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://testserver") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    put = partialmethod(request, "PUT")
    delete = partialmethod(request, "DELETE")
