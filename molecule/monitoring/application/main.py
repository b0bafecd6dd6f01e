"""Answers, fails, takes its time, or lets nobody else have any, as it is asked."""

import asyncio
import time

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def answer(request):
    asked = request.query_params
    await asyncio.sleep(float(asked.get("seconds", 0)))
    time.sleep(float(asked.get("blocked", 0)))
    return PlainTextResponse("notes", int(asked.get("status", 200)))


app = Starlette(routes=[Route("/healthz", answer), Route("/answer", answer)])
