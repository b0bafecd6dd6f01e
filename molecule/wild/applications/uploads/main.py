"""Keeps what it is sent, for the web server to serve, and needs a library of Debian."""

import ctypes
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

ctypes.CDLL("libmagic.so.1")
UPLOADS = Path(os.environ["STATE_DIRECTORY"], "files", "uploads")


def healthz(request):
    return PlainTextResponse("uploads")


async def upload(request):
    file = UPLOADS / request.path_params["name"]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(await request.body())
    return PlainTextResponse("kept")


app = Starlette(routes=[Route("/healthz", healthz), Route("/upload/{name:path}", upload, methods=["PUT"])])
