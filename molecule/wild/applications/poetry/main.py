"""Run in place by Poetry's `package-mode = false`, with an extra and a group, and without what is for development."""

import importlib.util

import blinker  # noqa: F401
import itsdangerous  # noqa: F401
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

assert importlib.util.find_spec("iniconfig") is None


def healthz(request):
    return PlainTextResponse("poetry")


app = Starlette(routes=[Route("/healthz", healthz)])
