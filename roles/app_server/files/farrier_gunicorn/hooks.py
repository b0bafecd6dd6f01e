"""gunicorn's hooks: a worker enters its release, the hand-over begins, stock workers leave word."""

from __future__ import annotations

import time
from typing import Any

from farrier_gunicorn import interface, status
from farrier_gunicorn.master import MASTER


def on_starting(server: Any) -> None:
    """In the master, before the first worker."""
    MASTER.release_change.pin_master()
    status.prepare(MASTER.configuration.run_directory)
    if MASTER.configuration.hands_over:
        # Not earlier: with a stock worker nothing of the hand-over is to be imported.
        from farrier_gunicorn.arbiter import HandoverArbiter

        HandoverArbiter.take_over(server, MASTER)
    else:
        _begin_stock_generation(server)


def on_reload(server: Any) -> None:
    """In a stock master, between the settings and the new workers; the hand-over master does not call it."""
    _begin_stock_generation(server)


def _begin_stock_generation(server: Any) -> None:
    generation = MASTER.new_generation(server.cfg)
    number = generation.number
    MASTER.publish(
        generation=number,
        candidate=None,
        workers=server.num_workers,
        reloads=number - 1,
        settings=generation.configuration.digest,
    )


def pre_fork(server: Any, worker: Any) -> None:
    """In the master."""
    worker.generation = MASTER.generation


def post_fork(server: Any, worker: Any) -> None:
    """In the worker, before it imports the app."""
    try:
        MASTER.release_change.enter(worker.generation.configuration)
    except OSError as error:
        worker.generation.record_failure(worker.pid, "import", f"the release cannot be entered: {error}")
        raise
    _write_state(worker, "booting")


def post_worker_init(worker: Any) -> None:
    """In the worker, when it has imported the app. A stock worker says nothing of the app's start-up."""
    if not MASTER.configuration.hands_over:
        _check_interface(worker)
        worker.config.root_path = worker.generation.configuration.root_path
        # By it a deploy knows who has answered, whatever the worker.
        worker.config.headers = [("X-Release", worker.generation.configuration.release)]
        _write_state(worker, "ready")


def post_request(worker: Any, request: Any, environ: dict[str, Any], response: Any) -> None:
    """In a thread of a WSGI worker."""
    worker.wsgi.log(environ, response)


def child_exit(server: Any, worker: Any) -> None:
    """In the master, when a worker has ended."""
    status.forget_worker(worker.generation.configuration.run_directory, worker.pid)


def _check_interface(worker: Any) -> None:
    configuration = worker.generation.configuration
    try:
        interface.check(worker.wsgi, configuration.module, configuration.interface)
    except interface.InterfaceError as error:
        worker.generation.record_failure(worker.pid, "import", str(error))
        raise


def _write_state(worker: Any, state: status.WorkerState) -> None:
    generation = worker.generation
    record = status.WorkerStatus(
        worker.pid, generation.number, generation.configuration.release, state, time.time()
    )
    try:
        status.write(status.worker_path(generation.configuration.run_directory, worker.pid), record)
    except OSError as error:
        worker.log.warning("The status of worker %s cannot be written: %s", worker.pid, error)
