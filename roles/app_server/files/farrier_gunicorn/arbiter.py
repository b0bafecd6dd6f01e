"""gunicorn's master, taught to replace workers only by workers that serve.

A start or a reload begins a generation, the candidate. Only when it serves are older workers told to go. When
it fails it is withdrawn, and nothing else has changed: workers that are replaced later still come from the
generation that served before.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from farrier_gunicorn import systemd
from farrier_gunicorn.generation import Generation
from farrier_gunicorn.handover import Handover
from farrier_gunicorn.master import Master
from farrier_gunicorn.shared_state import Order, Stage
from farrier_gunicorn.upkeep import BackOff, plan

# Seconds that a worker gets to go when it has accepted nothing yet.
_BOOTING_GRACE_SECONDS = 2.0
# A worker that dies sooner than this counts, for the back-off, as one that did not start.
_SHORT_LIFE_SECONDS = 5.0
# Seconds for which the previous generation is kept, in case every worker of the new one dies.
_PROBATION_SECONDS = 10.0
_SENT_AWAY = "was sent SIGTERM by another process"


class HandoverArbiter(Arbiter):
    """Takes over from a plain `Arbiter`, since gunicorn has no setting for the master's class."""

    serving: Generation | None
    """Where workers come from."""
    candidate: Generation | None
    """What is starting up, to become the one that serves."""
    standby: Generation | None
    """What served before, until the one that serves has proved itself."""

    @classmethod
    def take_over(cls, arbiter: Arbiter, master: Master) -> None:
        """Turn `arbiter`, which has not forked yet, into one that hands over."""
        arbiter.__class__ = cls
        arbiter._begin(master)

    def _begin(self, master: Master) -> None:
        self._master = master
        self.serving = self.standby = None
        self.candidate = master.new_generation(self.cfg)
        self._reload_wanted = False
        self._reloads = 0
        self._deaths = 0
        self._probation_ends_at = 0.0
        self._back_off = BackOff()
        self._boot_error: str | None = None
        # gunicorn would report itself ready before any worker is; and the app is not to report anything.
        self._notify_socket = os.environ.pop("NOTIFY_SOCKET", None)

    # What gunicorn calls

    def reload(self) -> None:
        """Note the wish. Several at once are one; gunicorn's loop goes on to `manage_workers`."""
        self._reload_wanted = True

    def handle_usr2(self) -> None:
        """Refuse: gunicorn cannot hand the sockets of systemd to a second master."""
        self.log.error("USR2 is not supported: farrier-release restart replaces the master without a pause")

    def kill_workers(self, sig: int) -> None:
        """Signal every worker. But for USR1, which gunicorn passes on, that is the end of all of them."""
        if sig != signal.SIGUSR1:
            for worker in self.WORKERS.values():
                worker.shared_state.order = Order.STOP
        super().kill_workers(sig)

    def handle_chld(self, *signal_and_frame: Any) -> None:
        """Note that a worker has ended, or has something to say."""
        if signal_and_frame and self.LISTENERS:  # gunicorn 23, in the middle of whatever the master does
            self.wakeup()
        else:
            self.reap_workers()

    def reap_workers(self) -> None:
        """Take note of every worker that has ended. Unlike in gunicorn, no exit code ends the master."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self.WORKERS.pop(pid, None)
            if worker is not None:
                self._survive(partial(self._worker_gone, worker, os.waitstatus_to_exitcode(wait_status)))

    def murder_workers(self) -> None:
        """End workers without a heartbeat."""
        self._survive(super().murder_workers)

    def manage_workers(self) -> None:
        """Bring what is nearer to what is wanted. Called after every signal and at least once a second."""
        self._survive(self._manage)

    def _survive(self, step: Callable[[], None]) -> None:
        """Take a step of the loop. gunicorn ends the master, and all workers, for any exception in it."""
        try:
            step()
        except Exception:
            if self.serving is None:
                raise
            self.log.exception("An error of the master, which goes on, and so do its workers")

    def _manage(self) -> None:
        self.reap_workers()
        if self._reload_wanted:
            self._begin_reload()
        self._take_note_of_leavers()
        self._enforce_deadlines()
        if self.candidate is not None:
            self._bring_up(self.candidate)
        if self.standby is not None:
            self._watch_probation(self.standby)
        if self.serving is not None:
            self._maintain(self.serving)
        self._publish()

    # Reload

    def _begin_reload(self) -> None:
        self._reload_wanted = False
        self._reloads += 1
        config = self._load_settings()
        if self._master.settings_error is not None:
            self.log.error("Reload refused, nothing has changed: %s", self._master.settings_error)
            self._notify(f"Reload refused: {self._master.settings_error}")
            return
        if self.candidate is not None:
            self._withdraw(self.candidate, "superseded by another reload")
        self._dismiss_standby()  # for the memory's sake, before more workers are forked
        self.candidate = self._master.new_generation(config)
        self.log.info(
            "Generation %s, release %s, is starting",
            self.candidate.number,
            self.candidate.configuration.release,
        )

    def _load_settings(self) -> object:
        """Have gunicorn read its settings, and leave the master as it was otherwise."""
        previous, path = self.app.cfg, sys.path[:]
        try:
            self.app.reload()
        except (SystemExit, Exception) as error:
            cause = error.__context__ or error
            self._master.settings_error = f"{type(cause).__name__}: {cause}"
        loaded = self.app.cfg
        self.app.cfg = previous
        sys.path[:] = path
        # A directory that is never pruned; workers go to their release by themselves.
        os.chdir("/")
        return loaded

    def _bring_up(self, candidate: Generation) -> None:
        wanted = candidate.configuration.workers
        for _ in range(wanted - len(self._team(candidate))):
            if candidate.failure is None:
                self._spawn(candidate)
        if candidate.failure is not None:
            self._withdraw(candidate, candidate.failure)
            self.candidate = None
            if self.serving is None:
                raise HaltServer(f"No worker started: {candidate.failure}", self.WORKER_BOOT_ERROR)
            return
        # At a start every worker helps; at a reload the old ones serve until all of the new ones do.
        needed = 1 if self.serving is None else wanted
        if sum(_accepts(worker) for worker in self._team(candidate)) >= needed:
            self._commit(candidate)

    def _commit(self, candidate: Generation) -> None:
        self.standby, self.candidate = self.serving, None
        self._probation_ends_at = time.monotonic() + _PROBATION_SECONDS
        self._put_in_charge(candidate)
        if self.standby is not None:
            for worker in self._team(self.standby):
                worker.shared_state.order = Order.STAND_BY
        self.log.info("Generation %s, release %s, serves", candidate.number, candidate.configuration.release)
        self._notify(f"Release {candidate.configuration.release} serves", ready=True)

    def _withdraw(self, generation: Generation, reason: str) -> None:
        self.log.error(
            "Generation %s, release %s, is withdrawn: %s",
            generation.number,
            generation.configuration.release,
            reason,
        )
        self._notify(f"Release {generation.configuration.release} was withdrawn: {reason}")
        for worker in self._team(generation):
            self._retire(worker)

    def _put_in_charge(self, generation: Generation) -> None:
        self.serving = generation
        self._use(generation)
        self.num_workers = generation.configuration.workers
        self._back_off = BackOff()
        self._boot_error = None

    def _watch_probation(self, standby: Generation) -> None:
        if self.serving is not None and not any(_accepts(worker) for worker in self._team(self.serving)):
            failed = self.serving
            self.standby = None
            self._put_in_charge(standby)
            for worker in self._team(standby):
                worker.shared_state.order = Order.SERVE
            self._withdraw(failed, "all of its workers ended; the previous generation serves again")
        elif time.monotonic() >= self._probation_ends_at:
            self._dismiss_standby()

    def _dismiss_standby(self) -> None:
        if self.standby is not None:
            for worker in self._team(self.standby):
                self._retire(worker)
        self.standby = None

    # Upkeep

    def _maintain(self, serving: Generation) -> None:
        team = self._team(serving)
        wanted = self.num_workers
        if len(team) >= wanted and all(worker.shared_state.stage is Stage.READY for worker in team):
            self._boot_error = None
            if time.monotonic() - team[-1].spawned_at > _SHORT_LIFE_SECONDS:
                self._back_off.reset()

        todo = plan(team, wanted, may_recycle=self.candidate is None)
        for worker in todo.retire:
            self._retire(worker)
        if todo.start and self._boot_error and not (team or self.candidate):
            raise HaltServer(f"No worker is left and none starts: {self._boot_error}", self.WORKER_BOOT_ERROR)
        if self._back_off.is_over:
            for _ in range(todo.start):
                self._spawn(serving)

    def _team(self, generation: Generation) -> list[Handover]:
        """The workers of a generation that have not been told to go, oldest first."""
        team = [w for w in self.WORKERS.values() if w.generation is generation and w.retired_at is None]
        return sorted(team, key=lambda worker: worker.age)

    def _spawn(self, generation: Generation) -> None:
        self._master.generation = generation
        self._use(generation)
        try:
            self.spawn_worker()
        except (OSError, RuntimeError) as error:  # no memory, no process, no space for the heartbeat's file
            generation.record_failure(0, "fork", f"{type(error).__name__}: {error}")
            self._note_failed_start(generation, f"a worker cannot be forked: {error}")
        finally:
            if self.serving is not None:
                self._use(self.serving)

    def _use(self, generation: Generation) -> None:
        """Have gunicorn work by the settings of `generation`."""
        self.cfg = generation.gunicorn_config
        self.worker_class = self.cfg.worker_class
        self.timeout = self.cfg.timeout

    def _retire(self, worker: Handover) -> None:
        worker.shared_state.order = Order.GO
        worker.retired_at = time.monotonic()
        self.kill_worker(worker.pid, signal.SIGTERM)

    def _take_note_of_leavers(self) -> None:
        """Replace workers that somebody else has sent away, and give them no more time than others."""
        for worker in self.WORKERS.values():
            if worker.retired_at is None and worker.shared_state.stage is Stage.LEAVING:
                worker.shared_state.order = Order.GO
                worker.retired_at = time.monotonic()
                self._note_end(worker, _SENT_AWAY)

    def _enforce_deadlines(self) -> None:
        now = time.monotonic()
        for worker in list(self.WORKERS.values()):
            configuration = worker.generation.configuration
            booting = worker.shared_state.stage is Stage.BOOTING
            if worker.retired_at is not None:
                grace = _BOOTING_GRACE_SECONDS if booting else configuration.graceful_timeout_seconds
                if now - worker.retired_at > grace:
                    self.kill_worker(worker.pid, signal.SIGKILL)
            elif booting and now - worker.spawned_at > configuration.boot_timeout_seconds:
                limit = configuration.boot_timeout_seconds
                error = f"the start-up took longer than boot_timeout_seconds ({limit})"
                worker.generation.record_failure(worker.pid, "timeout", error)
                self._note_failed_start(worker.generation, error)
                worker.shared_state.order = Order.GO
                worker.retired_at = now
                self.kill_worker(worker.pid, signal.SIGABRT)  # the worker's stack goes to the journal

    def _worker_gone(self, worker: Handover, exit_code: int) -> None:
        stage, order = worker.shared_state.stage, worker.shared_state.order
        worker.tmp.close()
        worker.shared_state.close()
        self._survive(partial(worker.cfg.child_exit, self, worker))
        if order is not Order.SERVE:
            if exit_code == -signal.SIGKILL:
                self.log.warning("Worker %s did not end in time and was killed", worker.pid)
            return
        ending = _in_words(exit_code)
        generation = worker.generation
        if stage is Stage.BOOTING:
            self.log.error("Worker %s ended unexpectedly: %s", worker.pid, ending)
            error = generation.recorded_failure(None if generation is self.candidate else worker.pid)
            if error is None:
                error = f"a worker ended during its start-up: {ending}"
                generation.record_failure(worker.pid, "exit", error)
            self._note_failed_start(generation, error)
            return
        left = stage is Stage.LEAVING  # so soon that nobody has noticed
        self._note_end(worker, _SENT_AWAY if left else f"ended unexpectedly: {ending}")

    def _note_end(self, worker: Handover, ending: str) -> None:
        """A worker that was ready has ended, or will, and nobody here has ordered it."""
        self.log.error("Worker %s %s", worker.pid, ending)
        self._deaths += 1
        generation = worker.generation
        if generation is self.candidate or self.standby is not None:
            error = f"soon after its start-up, a worker {ending}"
            generation.record_failure(worker.pid, "exit", error)
            if generation is self.candidate:
                generation.failure = error
        if time.monotonic() - worker.spawned_at < _SHORT_LIFE_SECONDS:
            self._back_off.lengthen()

    def _note_failed_start(self, generation: Generation, error: str) -> None:
        if generation is self.candidate:
            generation.failure = error
        elif generation is self.serving:
            self.log.error("A replacement worker did not start, the others keep serving: %s", error)
            self._boot_error = error
            self._back_off.lengthen()

    # Word to the outside

    def _publish(self) -> None:
        serving = self.serving or self.candidate
        self._master.publish(
            generation=self.serving.number if self.serving else 0,
            candidate=self.candidate.number if self.candidate else None,
            workers=self.num_workers,
            reloads=self._reloads,
            deaths=self._deaths,
            settings=serving.configuration.digest if serving else "",
        )

    def _notify(self, condition: str, *, ready: bool = False) -> None:
        if self._notify_socket is not None:
            systemd.notify(self._notify_socket, condition, ready=ready)


def _in_words(exit_code: int) -> str:
    """How a process ended, from its exit code or the negative number of a signal."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # most real-time signals have no name
        return f"signal {-exit_code}"


def _accepts(worker: Handover) -> bool:
    return worker.shared_state.stage in (Stage.READY, Stage.RECYCLING)
