"""What the hand-over relies on inside gunicorn, uvicorn and uvicorn-worker, and the check of it."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from operator import attrgetter
from typing import Any

from farrier_gunicorn import distributions
from farrier_gunicorn.servers import SERVERS

# Module:attribute -> what it is relied on for. The master imports these, so they are looked for at a start.
RELIED_ON: dict[str, str] = {
    "gunicorn.arbiter:Arbiter.__init__": "nothing is forked or bound yet",
    "gunicorn.arbiter:Arbiter.start": "calls on_starting before it sends READY=1",
    "gunicorn.arbiter:Arbiter.run": "calls manage_workers, murder_workers and the handlers of signals",
    "gunicorn.arbiter:Arbiter.spawn_worker": "forks by self.cfg, self.worker_class and self.timeout",
    "gunicorn.arbiter:Arbiter.murder_workers": "ends workers without a heartbeat",
    "gunicorn.arbiter:Arbiter.kill_worker": "signals one worker",
    "gunicorn.arbiter:Arbiter.kill_workers": "signals every worker",
    "gunicorn.arbiter:Arbiter.stop": "ends workers by kill_workers and reap_workers",
    "gunicorn.arbiter:Arbiter.halt": "ends the master with the exit status of HaltServer",
    "gunicorn.arbiter:Arbiter.manage_workers": "is replaced",
    "gunicorn.arbiter:Arbiter.reap_workers": "is replaced",
    "gunicorn.arbiter:Arbiter.reload": "is replaced",
    "gunicorn.arbiter:Arbiter.handle_hup": "calls reload",
    "gunicorn.arbiter:Arbiter.handle_chld": "is replaced",
    "gunicorn.arbiter:Arbiter.handle_ttin": "raises num_workers",
    "gunicorn.arbiter:Arbiter.handle_ttou": "lowers num_workers",
    "gunicorn.arbiter:Arbiter.handle_usr2": "is replaced",
    "gunicorn.app.base:BaseApplication.reload": "reads the settings into app.cfg, or exits",
    "gunicorn.app.base:BaseApplication.do_load_config": "exits while it handles the cause",
    "gunicorn.util:import_app": "imports the app",
    "gunicorn.workers.base:Worker.__init__": "draws max_requests; makes tmp",
    "gunicorn.workers.base:Worker.init_process": "calls init_signals, load_wsgi and run in turn",
    "gunicorn.workers.base:Worker.notify": "is the heartbeat",
    "gunicorn.workers.workertmp:WorkerTmp.last_update": "lies in the future until the first heartbeat",
}
_FOR_UVICORN: dict[str, str] = {
    "uvicorn.config:Config.load": "makes loaded_app and http_protocol_class",
    "uvicorn.server:ServerState.__init__": "has connections, tasks and total_requests",
    "uvicorn.server:Server._serve": "calls startup, main_loop and shutdown in turn",
    "uvicorn.server:Server.startup": "makes self.servers; sets self.started",
    "uvicorn.server:Server.main_loop": "ends when on_tick says so",
    "uvicorn.server:Server.on_tick": "renews the Date header; looks at should_exit",
    "uvicorn.server:Server.shutdown": "closes idle connections; bounds the wait for tasks",
    "uvicorn.server:Server.capture_signals": "installs handle_exit",
    "uvicorn.server:Server.handle_exit": "is replaced",
}
_FOR_GTHREAD: dict[str, str] = {
    "gunicorn.workers.gthread:ThreadWorker.__init__": "makes method_queue and keepalived_conns",
    "gunicorn.workers.gthread:ThreadWorker.init_process": "makes poller and tpool",
    "gunicorn.workers.gthread:ThreadWorker.run": "is replaced",
    "gunicorn.workers.gthread:ThreadWorker.accept": "counts nr_conns",
    "gunicorn.workers.gthread:ThreadWorker.finish_request": "keeps connections while `alive`",
    "gunicorn.workers.gthread:ThreadWorker.handle_request": "calls post_request; ends at max_requests",
    "gunicorn.workers.gthread:ThreadWorker.murder_keepalived": "closes what is idle for `keepalive`",
    "gunicorn.http.wsgi:Response.should_close": "obeys force_close until the header is sent",
    "gunicorn.http.wsgi:create": "passes on start_response of the Response; sets REMOTE_ADDR",
}
RELIED_ON_BY_MASTER_FOR = {"uvicorn": _FOR_UVICORN, "gthread": _FOR_GTHREAD}
# Imported by workers only, each from its own release, or not in every version: looked at by the tests.
RELIED_ON_IN_WORKERS: dict[str, str] = {
    "uvicorn_worker:UvicornWorker.__init__": "makes self.config",
    "uvicorn_worker:UvicornWorker.init_signals": "leaves SIGTERM to the system until the server runs",
    "uvicorn_worker:UvicornWorker.run": "runs self._serve",
    "uvicorn_worker:UvicornWorker._serve": "is replaced",
    "gunicorn.arbiter:Arbiter.wait_for_signals": "returns within a second, and at once for a signal",
    "gunicorn.workers.gthread:ThreadWorker.set_accept_enabled": "is told again what it knows",
    "gunicorn.workers.gthread:ThreadWorker.wait_for_and_dispatch_events": "returns in time",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.__init__": "is called with three keywords",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.shutdown": "closes an idle connection",
    "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.__init__": "has `disconnected`",
    "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.send": "obeys `connection: close`",
    "uvicorn.protocols.http.h11_impl:H11Protocol.__init__": "is called with three keywords",
    "uvicorn.protocols.http.h11_impl:H11Protocol.shutdown": "closes an idle connection",
    "uvicorn.protocols.http.h11_impl:RequestResponseCycle.__init__": "has `disconnected`",
    "uvicorn.protocols.http.h11_impl:RequestResponseCycle.send": "obeys `connection: close`",
    "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol.send": "awaits the answer",
    "gunicorn.asgi.protocol:ASGIProtocol.__init__": "takes cfg, log, asgi and state from the worker",
    "gunicorn.asgi.protocol:ASGIProtocol.connection_made": "counts the worker's nr_conns",
    "gunicorn.asgi.protocol:ASGIProtocol._handle_connection": "ends when the worker is not `alive`",
    "hypercorn.asyncio.tcp_server:TCPServer.run": "serves one connection until it is closed",
    "hypercorn.asyncio.worker_context:WorkerContext.__init__": "ends no worker without max_requests",
    "hypercorn.protocol.http_stream:HTTPStream.app_send": "cuts an answer that lacks its end; has `closed`",
    "daphne.server:Server.__init__": "listens on nothing, and runs nothing",
    "daphne.server:Server.run": "is replaced",
    "daphne.server:Server.create_application": "calls the app with a partial of handle_reply",
    "daphne.server:Server.application_checker": "calls itself again, by the reactor",
    "daphne.server:Server.timeout_checker": "calls itself again, by the reactor",
    "daphne.http_protocol:WebRequest.handle_reply": "passes on what the app sends; has `finished`",
    "twisted.internet.posixbase:PosixReactorBase.adoptStreamConnection": "duplicates the socket",
    "uvicorn.lifespan.on:LifespanOn.startup": "makes state; fails by should_exit",
}


_OR_NONE = "or none, and deploy again: the kit then brings its own"


class UnsupportedServerError(Exception):
    """A server package whose internals the hand-over does not know."""


def check(server: str) -> None:
    """Raises UnsupportedServerError when a package of a server is not what was tested."""
    installed = distributions.installed(sys.path)
    for name, (first, end) in SERVERS[server].supported.items():
        if name not in installed:
            raise UnsupportedServerError(f"{name} is not installed in the release's virtual environment")
        if not _numbers(first) <= _numbers(installed[name]) < _numbers(end):
            raise UnsupportedServerError(
                f"the hand-over worker was tested with {name} >={first},<{end}, not with {installed[name]}: "
                f"lock {name}>={first},<{end}, {_OR_NONE}"
            )

    for reference, purpose in {**RELIED_ON, **RELIED_ON_BY_MASTER_FOR.get(server, {})}.items():
        try:
            find(reference)
        except (ImportError, AttributeError) as error:
            raise UnsupportedServerError(
                f"the hand-over relies on {reference}, which is gone ({error}): it {purpose}; "
                f"lock another version of {reference.partition('.')[0]}, {_OR_NONE}"
            ) from None


def find(reference: str) -> Any:
    """What a reference of the form module:attribute names. Raises ImportError or AttributeError."""
    module, _, attributes = reference.partition(":")
    return attrgetter(attributes)(import_module(module))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
