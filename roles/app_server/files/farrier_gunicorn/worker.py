"""The hand-over worker for ASGI: uvicorn, which drains when told to, its heartbeat up to the end."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any, ClassVar

from farrier_gunicorn.asgi_worker import AsgiHandover
from farrier_gunicorn.handover import BOOT_FAILED
from farrier_gunicorn.server import HandoverServer
from farrier_gunicorn.stock import UvicornWorker


class HandoverWorker(AsgiHandover, UvicornWorker):
    """With uvloop and httptools where they are installed."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.config.access_log = self.config.server_header = False
        # Requests are counted, and the heartbeat is kept, here: uvicorn's ends when its shutdown begins.
        self.config.limit_max_requests = self.config.callback_notify = None

    async def _serve(self) -> None:
        configuration = self.generation.configuration
        self.config.app = self.wsgi
        self.config.root_path = configuration.root_path
        self.config.headers = [("X-Release", configuration.release)]
        self.config.load()
        application = self.serve_application(self.config.loaded_app)
        self.config.loaded_app = application
        server = HandoverServer(self.config, self.begin_life(application))
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.quit)
        await server.serve(sockets=self.sockets)
        self.end_life(application)
        if not server.started:
            sys.exit(BOOT_FAILED)


class HandoverWorkerH11(HandoverWorker):
    """With asyncio and h11, which are pure Python."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "h11"}
