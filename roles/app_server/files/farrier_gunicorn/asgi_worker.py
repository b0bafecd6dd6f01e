"""What the hand-over workers for ASGI have in common: what is around the app, and the heartbeat."""

from __future__ import annotations

import asyncio
import signal
from importlib import import_module
from typing import Any, ClassVar, Protocol, cast

from farrier_gunicorn.access_log import AccessLog
from farrier_gunicorn.application import Application, ServedApplication
from farrier_gunicorn.asgi_server import AsgiServer
from farrier_gunicorn.drain import DrainTimes
from farrier_gunicorn.handover import Handover
from farrier_gunicorn.life import Life
from farrier_gunicorn.lifespan import Lifespan
from farrier_gunicorn.loop_lag import TICK_SECONDS
from farrier_gunicorn.scope import BehindProxy
from farrier_gunicorn.shared_state import Stage

_HEARTBEAT_MOST_SECONDS = 1.0


class AsgiHandover(Handover):
    """A worker whose requests are tasks of one event loop."""

    max_requests: int

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.application: ServedApplication | None = None
        self._heartbeat: asyncio.Task[None] | None = None

    @property
    def startup_failure(self) -> str | None:
        return self.application.startup_failure if self.application else None

    def serve_application(self, application: Application, *headers: tuple[bytes, bytes]) -> ServedApplication:
        """Put the access log and the drain around the app, and `headers` into its answers."""
        configuration = self.generation.configuration
        log = AccessLog(configuration.name)
        self.application = ServedApplication(application, configuration.release, log, headers)
        return self.application

    def begin_life(self, application: ServedApplication) -> Life:
        """What tells the server when to drain."""
        configuration = self.generation.configuration
        return Life(
            application=application,
            shared_state=self.shared_state,
            times=DrainTimes.of(
                configuration.graceful_timeout_seconds, configuration.proxy_keepalive_seconds
            ),
            master_pid=self.ppid,
            max_requests=self.max_requests,
            memory_max_mb=configuration.worker_memory_max_mb,
            on_stage=self.enter_stage,
            on_loop_lag=self.publish_loop_lag,
        )

    def enter_stage(self, stage: Stage) -> None:
        """Before the worker serves, the boot timeout holds; from then on its heartbeat, also in a drain."""
        super().enter_stage(stage)
        self._heartbeat = self._heartbeat or asyncio.create_task(self._keep_heart_beating())

    async def _keep_heart_beating(self) -> None:
        interval_seconds = min(_HEARTBEAT_MOST_SECONDS, self.generation.configuration.timeout_seconds / 4)
        while True:
            self.notify()
            await asyncio.sleep(interval_seconds)

    def end_life(self, application: ServedApplication) -> None:
        """Nothing is served any more."""
        if self._heartbeat:
            self._heartbeat.cancel()
        application.access_log.close()


class Library(Protocol):
    """A module around a server that can be told to accept, and not to."""

    def make_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new event loop, or the one that the import of the server has made."""

    def make_server(self, application: ServedApplication, state: dict[str, Any], worker: Any) -> AsgiServer:
        """Return the server.

        Args:
            application: which has started.
            state: for the scope of its requests.
            worker: gunicorn's, which has its settings and its log.
        """


class AsgiWorker(AsgiHandover):
    """A worker around a server that is a library.

    The library is imported in the worker: Twisted's reactor would not survive a fork, and what the master has
    not imported it need not keep.
    """

    library_name: ClassVar[str]

    def load_wsgi(self) -> None:
        # Before the app, which may import Twisted, too.
        self._library = cast(Library, import_module(self.library_name))
        super().load_wsgi()

    def init_signals(self) -> None:
        """Until it serves, a signal ends the worker at once: an import that hangs would look at no flag."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def run(self) -> None:
        with asyncio.Runner(loop_factory=self._library.make_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        configuration = self.generation.configuration
        trusted = list(map(str, self.cfg.forwarded_allow_ips))
        application = self.serve_application(
            BehindProxy(self.wsgi, trusted, configuration.root_path),
            (b"x-release", configuration.release.encode()),
        )
        lifespan = Lifespan(application)
        await lifespan.startup()
        server = self._library.make_server(application, lifespan.state, self)
        life = self.begin_life(application)
        for number, flag in ((signal.SIGTERM, "was_terminated"), (signal.SIGQUIT, "was_killed")):
            asyncio.get_running_loop().add_signal_handler(number, setattr, life, flag, True)
        await server.accept(self.sockets)
        life.begin()
        while await _serve_until_drained(life, server):
            await server.accept(self.sockets)
            life.serve_again()
        await life.shut_down(lifespan.shutdown())
        await server.close()
        for listener in self.sockets:
            listener.close()
        self.end_life(application)


class GunicornWorker(AsgiWorker):
    """gunicorn's own server, with uvloop where it is installed."""

    library_name = "farrier_gunicorn.gunicorn_server"


class HypercornWorker(AsgiWorker):
    """With uvloop where it is installed."""

    library_name = "farrier_gunicorn.hypercorn_server"


class DaphneWorker(AsgiWorker):
    """Twisted, on an event loop of asyncio."""

    library_name = "farrier_gunicorn.daphne_server"


async def _serve_until_drained(life: Life, server: AsgiServer) -> bool:
    """Serve until there is another order, then drain. Returns whether the worker has been called back."""
    counter = 0
    while life.goes_on(counter):
        await asyncio.sleep(TICK_SECONDS)
        counter += 1
    server.stop_accepting()
    return await life.drain(server)
