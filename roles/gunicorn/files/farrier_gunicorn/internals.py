"""What the hand-over relies on inside gunicorn, uvicorn and uvicorn-worker, and the check of it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from farrier_gunicorn import SUPPORTED

# Module:attribute.path -> why it has to be there.
RELIED_ON: dict[str, str] = {
    "gunicorn.arbiter:Arbiter.run": "calls manage_workers, murder_workers and the handlers of signals",
    "gunicorn.arbiter:Arbiter.start": "calls on_starting before anything is forked and READY=1 is sent",
    "gunicorn.arbiter:Arbiter.stop": "kills and reaps through kill_workers and reap_workers",
    "gunicorn.arbiter:Arbiter.halt": "ends the master with the exit status of HaltServer",
    "gunicorn.arbiter:Arbiter.spawn_worker": "forks by self.cfg, self.worker_class and self.timeout",
    "gunicorn.arbiter:Arbiter.manage_workers": "is replaced",
    "gunicorn.arbiter:Arbiter.reap_workers": "is replaced",
    "gunicorn.arbiter:Arbiter.reload": "is replaced",
    "gunicorn.arbiter:Arbiter.murder_workers": "ends workers without a heartbeat",
    "gunicorn.arbiter:Arbiter.kill_worker": "sends a signal to one worker",
    "gunicorn.arbiter:Arbiter.kill_workers": "sends a signal to all workers",
    "gunicorn.arbiter:Arbiter.handle_hup": "calls reload",
    "gunicorn.arbiter:Arbiter.handle_chld": "calls reap_workers; wakes the main loop up",
    "gunicorn.arbiter:Arbiter.handle_usr2": "is replaced",
    "gunicorn.app.base:BaseApplication.reload": "reads the settings into app.cfg, or exits",
    "gunicorn.util:import_app": "imports the app",
    "gunicorn.workers.base:Worker.init_process": "calls load_wsgi, then run",
    "gunicorn.workers.base:Worker.notify": "is the heartbeat",
    "gunicorn.workers.workertmp:WorkerTmp.last_update": "lies in the future until the first heartbeat",
    "uvicorn_worker:UvicornWorker.__init__": "makes self.config",
    "uvicorn_worker:UvicornWorker.init_signals": "leaves SIGTERM at its default until the server runs",
    "uvicorn_worker:UvicornWorker.run": "runs self._serve",
    "uvicorn_worker:UvicornWorker._serve": "is replaced",
    "uvicorn.config:Config.load": "makes loaded_app, http_protocol_class and encoded_headers",
    "uvicorn.server:Server._serve": "calls startup, main_loop and shutdown in turn",
    "uvicorn.server:Server.startup": "makes self.servers and sets self.started",
    "uvicorn.server:Server.main_loop": "ends when on_tick says so",
    "uvicorn.server:Server.on_tick": "renews default_headers and looks at should_exit",
    "uvicorn.server:Server.shutdown": "closes idle connections and bounds the wait for tasks",
    "uvicorn.server:Server.capture_signals": "installs handle_exit",
    "uvicorn.server:Server.handle_exit": "is replaced",
    "uvicorn.server:ServerState.__init__": "has connections, tasks and total_requests",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.shutdown": "closes an idle connection",
    "uvicorn.protocols.http.h11_impl:H11Protocol.shutdown": "closes an idle connection",
}
# Only where the app brings the library.
RELIED_ON_WEBSOCKETS: dict[str, str] = {
    "uvicorn.protocols.websockets.websockets_sansio_impl:WebSocketsSansIOProtocol.shutdown": "sends 1012",
    "uvicorn.protocols.websockets.wsproto_impl:WSProtocol.shutdown": "sends 1012",
}


class UnsupportedServerError(Exception):
    """A server package whose internals the hand-over does not know."""


def check() -> None:
    """Raises UnsupportedServerError when an installed server package is outside the range that was tested."""
    for name, (first, end) in SUPPORTED.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            raise UnsupportedServerError(
                f"{name} is not installed in the release's virtual environment"
            ) from None
        if not _numbers(first) <= _numbers(installed) < _numbers(end):
            raise UnsupportedServerError(
                f"the hand-over worker was tested with {name} >={first},<{end}, not with {installed}: "
                f"pin {name}>={first},<{end} in the app's lock, or set worker_class to stock"
            )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
