"""What is done to a site under load, step by step, and how its host and the world see it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.deploys import AppHost, Playbook, State
from tests.harness.load import Load, Report
from tests.harness.outside import Answer, Outside

# `make test-load`, `make test-million`: clients are busy throughout, and all hand-overs come with a deploy.
AMOUNT = os.environ.get("FARRIER_TEST_LOAD", "")
FULL = AMOUNT in ("full", "million")
REQUESTS = {"full": 300_000, "million": 1_000_000}.get(AMOUNT, 60_000)
RELOADS = 60 if AMOUNT == "million" else 20
# What a deploy does before it hands over, the clients do not notice: half of the reloads are without it.
DEPLOYS = RELOADS if FULL else RELOADS // 2
# As many as leave two processors, which also run this client, room for what is done to the site meanwhile.
BUSY_PER_SECOND = 800
# What fails, fails in a hand-over: apart from these, a few requests are enough.
CALM_PER_SECOND = BUSY_PER_SECOND if FULL else 100
RELOADS_OF_SLOW_APP = 3
REST_SECONDS = 900.0
HANDED_OVER_WITHIN_SECONDS = 300.0
LOOK_SECONDS = 0.1
# nginx closes its idle connections to workers after three seconds.
KEPT_SECONDS = 10.0


@dataclass(frozen=True)
class Step:
    """One thing that was done, and what there was before and after it.

    Args:
        label: what was done.
        version: tag of what is to be live afterwards.
        seconds: how long it took whoever did it.
        before: the app on its host before.
        after: the same afterwards.
        rss_before_kb: resident memory of the master before.
        rss_after_kb: the same afterwards.
        release: that answers afterwards, by its header.
        page: that the world sees afterwards.
        certificate: serial number of the one that the world sees afterwards.
    """

    label: str
    version: str
    seconds: float
    before: State
    after: State
    rss_before_kb: int
    rss_after_kb: int
    release: str
    page: str
    certificate: str

    @property
    def attempt(self) -> dict[str, Any]:
        """What the host's log says of it."""
        return self.after.attempts[-1]

    @property
    def main_pid_before(self) -> int:
        """Process id of the master before."""
        return int(self.before.status["service"]["main_pid"])

    @property
    def main_pid_after(self) -> int:
        """Process id of the master afterwards."""
        return int(self.after.status["service"]["main_pid"])

    def __str__(self) -> str:
        how = self.attempt["how"] if len(self.after.attempts) > len(self.before.attempts) else ""
        return f"{self.label:20} {self.seconds:6.1f} s  {how:8} {self.version}"


@dataclass(frozen=True)
class RecordedRun:
    """All that was done, in order, and what the clients saw of it.

    Args:
        steps: what was done.
        clients: report of those with short requests, WebSockets and events, who were there throughout.
        downloads: report of those who download.
        workers_before: number of worker processes before the load.
        workers_after: the same when the load has ended and the last worker has let go.
    """

    steps: list[Step]
    clients: Report
    downloads: Report
    workers_before: int
    workers_after: int

    def step(self, label: str) -> Step:
        """The step of that label."""
        return next(step for step in self.steps if step.label == label)

    def slowest_milliseconds(self, label: str) -> float:
        """Of all requests during a step, how long the slowest one took."""
        return float(self.clients.mark(label)["milliseconds"]["slowest"])

    def gap_seconds(self, label: str) -> float:
        """The longest time during a step in which no client got an answer."""
        return float(self.clients.mark(label)["longest_gap_milliseconds"]) / 1000

    @property
    def alternating(self) -> list[Step]:
        """The deploys that go to and fro between two versions."""
        return [step for step in self.steps if step.label.startswith("deploy ")]

    @property
    def reloads(self) -> list[Step]:
        """These and what else reloads the same release, without anything in between."""
        return [*self.alternating, *(step for step in self.steps if step.label.startswith("reload "))]


class Site:
    """A site under load, to which things are done.

    Args:
        app: the app on its host.
        outside: the world.
        domain: under which the world knows it.
        inventory: with which it is deployed.
        load: what is told of each step.
    """

    def __init__(self, app: AppHost, outside: Outside, domain: str, inventory: Path, load: Load) -> None:
        self.steps: list[Step] = []
        self._app = app
        self._outside = outside
        self._domain = domain
        self._inventory = inventory
        self._load = load

    def deploy(self, label: str, version: str) -> None:
        """Deploy a version as its user does."""
        self._do(label, version, lambda: self._play("deploy", version=version))

    def roll_back(self, label: str, version: str) -> None:
        """Go back to the release before, which is of `version`, as its user does."""
        self._do(label, version, lambda: self._play("rollback"))

    def command(self, label: str, command: str) -> None:
        """Run a command on the host."""
        with self._busy():
            self._do(label, self._version, lambda: self._app.host.check_output(command))

    def wait_for_requests(self, label: str, total: int) -> None:
        """Do nothing until the clients have sent so many since their beginning."""
        with self._busy():
            self._do(label, self._version, lambda: self._wait(total))

    def wait_for_recycling(self, label: str) -> None:
        """Do nothing until the clients have worn out every worker that serves."""
        # Asked within the step: by then, each worker of its `before` serves or has gone.
        with self._busy():
            self._do(label, self._version, lambda: self._wait_until_gone(self._serving()))

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Meanwhile, the clients ask as often as they can."""
        self._load.change_rate(BUSY_PER_SECOND)
        try:
            yield
        finally:
            self._load.change_rate(CALM_PER_SECOND)

    @property
    def _version(self) -> str:
        return self.steps[-1].version

    def _serving(self) -> set[int]:
        state = self._app.look()
        return state.serving - {int(state.status["service"]["main_pid"])}

    def _wait_until_gone(self, workers: set[int]) -> None:
        deadline = time.monotonic() + REST_SECONDS
        while left := workers & self._serving():
            assert time.monotonic() < deadline, f"still serving after {REST_SECONDS:g} s: {left}"
            time.sleep(0.5)

    def _play(self, name: str, **variables: str) -> None:
        """Run a playbook; from the moment on when it hands over, the clients are busy."""
        hand_over = self._app.wait_for_state(
            '"phase": "activate"', within_seconds=HANDED_OVER_WITHIN_SECONDS, every_seconds=LOOK_SECONDS
        )
        try:
            with Playbook(self._inventory, name, {"app": self._app.app, **variables}) as playbook:
                playbook.wait_until_it_ends_or(hand_over)
                with self._busy():
                    done = playbook.end()
            assert not done.failed, done.output
            assert hand_over.poll() == 0, f"no hand-over was seen:\n{done.output}"
        finally:
            hand_over.terminate()
            hand_over.wait()

    def _wait(self, total: int) -> None:
        self._load.wait_for(
            lambda status: status["requests"] >= total,
            what=f"send {total} requests",
            within_seconds=REST_SECONDS,
        )

    def _do(self, label: str, version: str, action: Callable[[], object]) -> None:
        before = self._app.look()
        rss_before_kb = self._rss_kb(before)
        self._load.mark(label)
        started = time.monotonic()
        action()
        seconds = time.monotonic() - started
        after = self._app.look()
        answer = self._answer(after.live)
        step = Step(
            label,
            version,
            seconds,
            before,
            after,
            rss_before_kb,
            self._rss_kb(after),
            answer.headers["X-Release"],
            answer.body.decode(),
            self._certificate(),
        )
        self.steps.append(step)
        status = self._load.status()
        print(f"{step}: {status['failed']} of {status['requests']} failed", flush=True)

    def _answer(self, release: str) -> Answer:
        """What the world sees: a connection that nginx still has to an old worker may be used once more."""
        deadline = time.monotonic() + KEPT_SECONDS
        while True:
            answer = self._outside.https(self._domain)
            if answer.headers["X-Release"] == release or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)

    def _rss_kb(self, state: State) -> int:
        status = self._app.host.file(f"/proc/{state.status['service']['main_pid']}/status").content_string
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def _certificate(self) -> str:
        with self._outside.tls(self._domain) as connection:
            shown = connection.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])
