"""An application that a function makes, as many tutorials have it, with a built front end beside it."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def create_app():
    return Starlette(routes=[Route("/healthz", lambda request: PlainTextResponse("factory"))])
