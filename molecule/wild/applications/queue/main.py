"""A web process that queues jobs for Celery."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tasks import work


def healthz(request):
    return PlainTextResponse("queue")


def queue(request):
    work.delay(request.path_params["number"])
    return PlainTextResponse("queued")


app = Starlette(routes=[Route("/healthz", healthz), Route("/queue/{number:int}", queue)])
