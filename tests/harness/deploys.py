"""Playbooks run as a user runs them, watched while they run, and killed as a failing machine would."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testinfra.host import Host

from tests.harness.connections import ssh

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"
END_SECONDS = 600.0
POLL_SECONDS = 0.02
LOOK_SECONDS = 0.005
LEASE_ALONE_SECONDS = 4.0
# In the environment of every process of one run, so that all of them are found, whatever their parents.
MARK = "RUN_OF_A_TEST"


@dataclass(frozen=True)
class Run:
    """A playbook that has ended.

    Args:
        returncode: of ansible-playbook.
        output: all that it wrote.
        seconds: how long it took.
    """

    returncode: int
    output: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether ansible-playbook said so."""
        return self.returncode != 0


class Playbook:
    """A playbook that runs. Leaving its `with` block ends whatever is left of it.

    Args:
        inventory: directory or file.
        name: of the playbook in playbooks/, without .yml.
        variables: as given by -e.
        options: further ones of ansible-playbook.
    """

    def __init__(
        self, inventory: Path, name: str, variables: dict[str, Any], options: Sequence[str] = ()
    ) -> None:
        extra = ["-e", json.dumps(variables), *options]
        programs = Path(sys.executable).parent
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        self._output = tempfile.NamedTemporaryFile("w+", prefix="farrier-run-", errors="replace")  # noqa: SIM115 - closed in __exit__
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [programs / "ansible-playbook", "-i", inventory, PLAYBOOKS / f"{name}.yml", *extra],
            cwd=ROOT,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "PATH": f"{programs}:{os.environ['PATH']}",
                **dict([self._mark.split("=")]),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._output.close()

    @property
    def output(self) -> str:
        """What it has written so far."""
        return Path(self._output.name).read_text(errors="replace")

    def wait_until_it_says(self, text: str) -> None:
        """Wait for `text` in its output.

        Raises:
            AssertionError: it ended without, or did not say it in time.
        """
        deadline = time.monotonic() + END_SECONDS
        while text not in self.output:
            assert self._process.poll() is None, f"ended without {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in {END_SECONDS:g} s:\n{self.output}"
            time.sleep(POLL_SECONDS)

    def wait_until_it_ends_or(self, seen: subprocess.Popen[bytes]) -> None:
        """Wait until it has ended, or another process has."""
        while self.runs and seen.poll() is None:
            time.sleep(POLL_SECONDS)

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def end(self) -> Run:
        """Wait for its end."""
        returncode = self._process.wait(END_SECONDS)
        return Run(returncode, self.output, time.monotonic() - self._began)

    def kill(self) -> None:
        """End every process of it at once, in the way that leaves none of them a last word."""
        while processes := self._processes():
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        self._process.wait()

    def _processes(self) -> list[int]:
        """Its processes that have not ended, the playbook's own first."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return sorted(found)


def run(inventory: Path, name: str, options: Sequence[str] = (), **variables: Any) -> Run:
    """Run a playbook to its end; arguments as those of `Playbook`."""
    with Playbook(inventory, name, variables, options) as playbook:
        return playbook.end()


@dataclass(frozen=True)
class State:
    """What there is of an app on a host at one moment.

    Args:
        status: what `farrier-release status` says.
        attempts: the log of all attempts, oldest first.
        units: units of rehearsals and transactions that systemd has, whatever their state; not one that only
            watches over a release that has just gone live.
        incoming: archives that wait for a build.
        lease: what is known of the deploy under way, or None.
    """

    status: dict[str, Any]
    attempts: list[dict[str, Any]]
    units: list[str]
    incoming: list[str]
    lease: dict[str, Any] | None

    @property
    def live(self) -> str:
        """Id of the live release."""
        return str(self.status["live"])

    @property
    def releases(self) -> set[str]:
        """Ids of all releases, complete or not."""
        return {str(release["id"]) for release in self.status["releases"]}

    @property
    def good_releases(self) -> set[str]:
        """Ids of those that have been live and found good."""
        return {str(release["id"]) for release in self.status["releases"] if release["good"]}

    @property
    def serving(self) -> set[int]:
        """Process ids of the master and of the workers that serve."""
        ready = {int(worker["pid"]) for worker in self.status["workers"] if worker["state"] == "ready"}
        return {int(self.status["service"]["main_pid"]), *ready}

    @property
    def problem(self) -> str:
        """What is not as it should be, or ""."""
        return str(self.status["problem"])


class AppHost:
    """One app on one host, seen over SSH.

    Args:
        host: where commands run as root.
        name: of the host in the lab.
        app: name of the app.
    """

    def __init__(self, host: Host, name: str, app: str) -> None:
        self.host = host
        self.name = name
        self.app = app

    def look(self) -> State:
        """What there is now, in one round trip."""
        app = self.app
        lines = 'jq --compact-output --raw-input --slurp \'split("\\n") - [""]\''
        text = self.host.check_output(
            f"farrier-release --app {app} status --json"
            f" && jq --compact-output --slurp . /var/log/farrier/{app}/deploys.jsonl"
            " && systemctl list-units --all --plain --no-legend --full"
            f" '{app}-rehearsal@*' 'farrier-{app}-*' | cut -d' ' -f1 | {lines}"
            f" && ls -A /srv/{app}/incoming | {lines}"
            f" && (cat /srv/{app}/.state.json 2>/dev/null || echo {{}}) | jq --compact-output .transaction"
        )
        status, attempts, units, incoming, lease = (json.loads(line) for line in text.splitlines())
        if lease and lease["phase"] == "watch":
            lease = None
            units = [unit for unit in units if unit != f"farrier-{app}-transaction.service"]
        return State(status, attempts, units, incoming, lease)

    def wait_until_quiet(self, *, rehearsal_may_stand: bool = False, within_seconds: float = 30.0) -> State:
        """Wait until nothing works on the app any more: no phase, no activation, no rehearsal.

        Raises:
            AssertionError: something still does after `within_seconds`.
        """
        deadline = time.monotonic() + within_seconds
        lock = f"/run/farrier/{self.app}.lock"
        quiet_since = None
        while True:
            state = self.look()
            busy = [unit for unit in state.units if unit.startswith("farrier-") or not rehearsal_may_stand]
            if not busy and self.host.run(f"flock --nonblock {lock} true").succeeded:
                quiet_since = quiet_since or time.monotonic()
                state = self.look()
                # A deploy has its lease a moment before the unit that carries it on, also without a caller.
                if state.lease is None or time.monotonic() - quiet_since > LEASE_ALONE_SECONDS:
                    return state
            else:
                quiet_since = None
            assert time.monotonic() < deadline, f"still at work after {within_seconds:g} s: {busy or lock}"
            time.sleep(0.1)

    def wait_for_path(self, pattern: str, *, within_seconds: float = 60.0) -> subprocess.Popen[bytes]:
        """Begin to wait until a path that fits a shell's pattern exists; known within milliseconds.

        Returns:
            A process that ends with 0 as soon as it does, and with 1 when there was none in time.
        """
        return self._wait_for(f"for path in {pattern}; do test -e $path && exit 0; done", within_seconds)

    def wait_for_state(
        self, *texts: str, within_seconds: float = 60.0, every_seconds: float = LOOK_SECONDS
    ) -> subprocess.Popen[bytes]:
        """Begin to wait until all texts are in the app's state file; as `wait_for_path`."""
        grep = "grep --quiet --no-messages --fixed-strings"
        found = " && ".join(f"{grep} {shlex.quote(text)} /srv/{self.app}/.state.json" for text in texts)
        return self._wait_for(f"{found} && exit 0", within_seconds, every_seconds)

    def _wait_for(
        self, look: str, within_seconds: float, every_seconds: float = LOOK_SECONDS
    ) -> subprocess.Popen[bytes]:
        rounds = int(within_seconds / every_seconds)
        loop = f"for round in $(seq {rounds}); do {look}; sleep {every_seconds}; done; exit 1"
        return subprocess.Popen(ssh(self.name, f"sudo sh -c {shlex.quote(loop)}"), stdin=subprocess.DEVNULL)
