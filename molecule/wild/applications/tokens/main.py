"""Answers token by token, as what stands before a language model does."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route


async def tokens():
    for number in range(5):
        yield f"token {number}\n"
        await asyncio.sleep(0.5)


def answer(request):
    return StreamingResponse(tokens(), media_type="text/plain")


def healthz(request):
    return PlainTextResponse("tokens")


app = Starlette(routes=[Route("/healthz", healthz), Route("/tokens", answer)])
