"""Run in place (`package-mode = false`), with an extra and a group, and without what is for development."""

import importlib.util

import blinker
import itsdangerous
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

assert (blinker.__name__, itsdangerous.__name__) == ("blinker", "itsdangerous")
assert importlib.util.find_spec("iniconfig") is None


def healthz(request):
    return PlainTextResponse("poetry")


app = Starlette(routes=[Route("/healthz", healthz)])
