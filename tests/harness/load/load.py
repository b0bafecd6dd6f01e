"""Load from within a test: the client runs in a process of its own, so that neither stalls the other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

from . import control

ROOT = Path(__file__).parents[3]
START_SECONDS = 15.0
END_SECONDS = 120.0


class LoadError(Exception):
    """The client itself did not work; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run; `summary` has everything, see `tests/harness/load/README.md`."""

    summary: dict[str, Any]
    text: str

    @property
    def requests(self) -> int:
        """Number of requests sent, failed ones included."""
        return int(self.summary["requests"])

    @property
    def failed(self) -> int:
        """Number of failures of any kind."""
        return int(self.summary["failed"])

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The first 20 failures in full."""
        return list(self.summary["failures"])

    @property
    def releases(self) -> list[str]:
        """The releases that answered, in the order of their first answer."""
        seen: dict[str, dict[str, float]] = self.summary["by_release"]
        return sorted(seen, key=lambda release: seen[release]["first_seconds"])

    @property
    def slowest_milliseconds(self) -> float:
        """The slowest right answer to a short request."""
        return float(self.summary["milliseconds"]["slowest"])

    @property
    def longest_gap_milliseconds(self) -> float:
        """The longest time in which no answer at all came in."""
        return max((float(gap["milliseconds"]) for gap in self.summary["gaps"]), default=0.0)

    def mark(self, label: str) -> dict[str, Any]:
        """What happened from the mark `label` to the next one.

        Raises:
            KeyError: when there is no such mark.
        """
        for mark in self.summary["marks"]:
            if mark["label"] == label:
                return dict(mark)
        raise KeyError(label)

    def __str__(self) -> str:
        return self.text


class Load:
    """Load on a lab host for the time of a `with` block.

    Args:
        url: https://NAME[:PORT].
        ca: the only certificate authority to trust (PEM file).
        resolve: address of each name, or several, so that no name service is needed.
        name: of the result files.
        output: directory of the result files.
        options: as the command line has them: connections, websockets, events, downloads, seconds, requests,
            rate, timeout_seconds, allow; no_notes and retry_safe are True or False.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: str | Path | None = None,
        resolve: Mapping[str, str | Sequence[str]] | None = None,
        name: str = "load",
        output: Path = ROOT / "build" / "load",
        **options: float | str,
    ) -> None:
        self._output = output
        self._name = name
        self._command = [
            sys.executable,
            "-m",
            "tests.harness.load",
            "run",
            url,
            "--output",
            str(output),
            "--name",
            name,
        ]
        if ca is not None:
            self._command += ["--ca", str(Path(ca).absolute())]
        for host, addresses in (resolve or {}).items():
            for address in [addresses] if isinstance(addresses, str) else addresses:
                self._command += ["--resolve", f"{host}:{address}"]
        for option, value in options.items():
            if value is not False:
                self._command += [f"--{option.replace('_', '-')}", *([] if value is True else [str(value)])]
        self._process: subprocess.Popen[bytes] | None = None
        self._report: Report | None = None

    def __enter__(self) -> Self:
        # A directory of its own, since the path of a UNIX socket must not exceed 107 bytes.
        self._directory = Path(tempfile.mkdtemp(prefix="farrier-load-"))
        self._control = self._directory / "control"
        self._log = self._directory / "log"
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [*self._command, "--control", str(self._control)],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            self._wait(self._answers, START_SECONDS, "start")
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # The results of a test that has failed otherwise are worth having too.
            if self._report is None and self._process is not None and self._process.poll() is None:
                self.stop()
        finally:
            self._clean_up()

    def mark(self, label: str) -> None:
        """Note that `label` happens now; it becomes a line in the picture and a window in the report."""
        self._ask(f"mark {label}")

    def change_rate(self, per_second: float) -> None:
        """Send at most so many requests a second from now on."""
        self._ask(f"rate {per_second:g}")

    def status(self) -> dict[str, Any]:
        """Return seconds, requests, failures, what was begun anew, releases and answers by host so far."""
        return self._ask("status")

    def wait_for(
        self, condition: Callable[[dict[str, Any]], bool], *, what: str, within_seconds: float = 60.0
    ) -> None:
        """Wait until `condition(status)` is true.

        Raises:
            LoadError: when it is not within `within_seconds`, or the client has ended.
        """
        self._wait(lambda: condition(self.status()), within_seconds, what)

    def wait_for_requests(self, count: int, *, within_seconds: float = 60.0) -> None:
        """Wait until `count` more requests have been answered."""
        goal = self.status()["requests"] + count
        self.wait_for(
            lambda status: status["requests"] >= goal,
            what=f"answer {count} requests",
            within_seconds=within_seconds,
        )

    def stop(self) -> Report:
        """End the load, wait for the requests under way and return the report.

        Raises:
            LoadError: when the client does not end, or ends without results.
        """
        if self._report is None:
            assert self._process is not None
            if self._process.poll() is None:
                self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                raise LoadError(
                    f"the client has not ended after {END_SECONDS:g} s\n{self._output_of_client()}"
                ) from None
            if self._process.returncode not in (0, 1):
                raise LoadError(
                    f"the client ended with {self._process.returncode}\n{self._output_of_client()}"
                )
            summary = json.loads((self._output / f"{self._name}.json").read_text())
            self._report = Report(summary, self._output_of_client())
        return self._report

    def _answers(self) -> bool:
        # The socket's file is there a moment before anyone listens.
        try:
            control.ask(self._control, "status")
        except control.ControlError:
            return False
        return True

    def _ask(self, command: str) -> dict[str, Any]:
        try:
            return control.ask(self._control, command)
        except control.ControlError as error:
            raise LoadError(f"{error}\n{self._output_of_client()}") from error

    def _wait(self, reached: Callable[[], bool], within_seconds: float, what: str) -> None:
        assert self._process is not None
        deadline = monotonic() + within_seconds
        while not reached():
            if self._process.poll() is not None:
                raise LoadError(f"the client ended before it could {what}\n{self._output_of_client()}")
            if monotonic() > deadline:
                raise LoadError(
                    f"the client did not {what} in {within_seconds:g} s\n{self._output_of_client()}"
                )
            sleep(0.02)

    def _output_of_client(self) -> str:
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    def _clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
