"""An app of which only one copy may run: it holds a lock from its import to its end."""

import fcntl
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

LOCK = os.open(Path(os.environ["STATE_DIRECTORY"], "lock"), os.O_CREAT | os.O_RDWR)
fcntl.flock(LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)


def release(request):
    return PlainTextResponse(os.environ["RELEASE_ID"])


app = Starlette(routes=[Route("/healthz", release)])
