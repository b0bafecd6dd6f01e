"""Answers that end no earlier than their requests, for servers that would close the connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from farrier_gunicorn.answer import Message, Send
from farrier_gunicorn.application import Application, Receive, Scope

# nginx sends a request when it has all of it.
_BODY_SECONDS = 10.0


def of_whole_requests(application: Application) -> Application:
    """Wrap an app so that its answer does not end before the request has arrived.

    Hypercorn and gunicorn would close the connection then, of which the proxy knows nothing.

    Args:
        application: what the server is to call.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        has_body = {b"content-length", b"transfer-encoding"} & {name for name, _ in scope.get("headers", ())}
        if scope["type"] != "http" or not has_body:
            await application(scope, receive, send)
            return
        is_whole = asyncio.Event()

        async def receive_on() -> Message:
            message = await receive()
            if not message.get("more_body"):  # the last piece, or the client has gone
                is_whole.set()
            return message

        async def read_rest() -> None:
            while not is_whole.is_set():
                await receive_on()

        async def send_on(message: Message) -> None:
            ends = message["type"] == "http.response.body" and not message.get("more_body")
            if ends and not is_whole.is_set():
                # The app may be reading as well; whoever gets the last piece, it is whole.
                rest = asyncio.create_task(read_rest())
                with suppress(TimeoutError):
                    await asyncio.wait_for(is_whole.wait(), _BODY_SECONDS)
                rest.cancel()
            await send(message)

        # By it, an answer knows whether its client has gone.
        send_on.__dict__["__self__"] = getattr(send, "__self__", None)
        await application(scope, receive_on, send_on)

    return serve
