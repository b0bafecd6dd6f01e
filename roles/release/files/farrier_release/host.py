"""The machine: systemd units and commands. Tests replace it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from farrier_release.errors import NoAnswerError
from farrier_release.output import TAIL_LINES, pass_on
from farrier_release.text import printable

_SHOWN_LINES = 40
_RESULT_MAX_BYTES = 16 << 20
# A busy site logs some thousand requests in the seconds that are of interest.
_JOURNAL_LINES = 20_000
# What systemctl says when the connection to systemd breaks, or is not there.
_LOST = re.compile(
    "scope bus|D-Bus connection|Connection (reset|refused|timed out)|Transport endpoint|Broken pipe"
)
_NO_ANSWER_SECONDS = 20
_ASK_AGAIN_SECONDS = 0.2
_SHOW_TIMEOUT_SECONDS = 10
_REQUEST = re.compile(r'\{"time": .*"method": ')


@dataclass(frozen=True)
class Completed:
    """How a command ended.

    Args:
        returncode: exit code; negative for a signal.
        stdout: its result; "" where there is none.
        tail: the last lines of its standard error, and of its standard output where that is no result.
    """

    returncode: int
    stdout: str
    tail: list[str]


@dataclass(frozen=True)
class Sandboxed:
    """A command to run in a transient unit.

    Args:
        unit: name of the unit.
        user: who runs it.
        command: program and arguments.
        directory: working directory.
        properties: systemd properties, `Name=value`.
        environment: what systemd's clean environment gets on top. Visible to every user of the host: no
            secrets.
        stdin: text for its standard input.
        keep_stdout: whether its standard output is a result.
        show: turns a line of its output into what may be kept and shown of it.
        timeout_seconds: after which systemd ends it; None for never.
    """

    unit: str
    user: str
    command: Sequence[str]
    directory: Path
    properties: Sequence[str] = ()
    environment: Mapping[str, str] | None = None
    stdin: str = ""
    keep_stdout: bool = False
    show: Callable[[str], str] = printable
    timeout_seconds: int | None = 900

    def argv(self, output: str) -> list[str]:
        """The command line that runs it; `output` is how systemd-run passes its input and output on."""
        limit = f"--property=RuntimeMaxSec={self.timeout_seconds or 'infinity'}"
        return [
            "systemd-run",
            *("--quiet", output, "--wait", "--collect", "--service-type=exec"),
            f"--unit={self.unit}",
            f"--uid={self.user}",
            f"--working-directory={self.directory}",
            limit,
            *(f"--property={line}" for line in self.properties),
            *(f"--setenv={name}={value}" for name, value in (self.environment or {}).items()),
            "--",
            *_literally(self.command),
        ]


@dataclass(frozen=True)
class Running:
    """A command that runs in a transient unit.

    Args:
        unit: name of the unit.
        has_ended: whether the command has.
    """

    unit: str
    has_ended: Callable[[], bool]


class Host:
    """A machine run by systemd."""

    def run_sandboxed(self, task: Sandboxed) -> Completed:
        """Run a command in a transient unit and wait for it; its lines are passed on as they come."""
        argv = task.argv("--pipe")
        return follow(argv, stdin=task.stdin, keep_stdout=task.keep_stdout, show=task.show)

    @contextmanager
    def running_sandboxed(self, task: Sandboxed) -> Iterator[Running]:
        """Run a command in a transient unit, without its output, and kill it in the end."""
        unit, null = f"{task.unit}.service", subprocess.DEVNULL
        argv = task.argv("--property=StandardOutput=null")
        with subprocess.Popen(argv, stdin=null, stdout=null, stderr=null) as process:
            try:
                yield Running(unit, lambda: process.poll() is not None)
            finally:
                self.systemctl("kill", "--signal=KILL", unit)
                self.systemctl("stop", unit)
                process.wait()

    def become_sandboxed(self, task: Sandboxed) -> NoReturn:
        """Become a command in a transient unit, on this terminal if there is one."""
        is_terminal = os.isatty(0) and os.isatty(1)
        argv = task.argv("--pty" if is_terminal else "--pipe")
        os.execvp(argv[0], argv)

    def start_detached(
        self,
        unit: str,
        command: Sequence[str],
        *,
        afterwards: str,
        timeout_seconds: int,
        afterwards_timeout_seconds: int,
    ) -> Completed:
        """Start a command as root in a unit of its own, which outlives this process and its caller.

        Args:
            unit: name of the unit. A second one of the same name is refused by systemd.
            command: program and arguments.
            afterwards: a command line, as systemd reads it, that is run when the command has ended in
                whatever way, killed included.
            timeout_seconds: after which systemd ends the command.
            afterwards_timeout_seconds: after which systemd ends what is run afterwards.
        """
        argv = [
            "systemd-run",
            *("--quiet", "--collect", "--service-type=exec"),
            f"--unit={unit}",
            f"--property=RuntimeMaxSec={timeout_seconds}",
            f"--property=TimeoutStopSec={afterwards_timeout_seconds}",
            f"--property=ExecStopPost={afterwards}",
            "--",
            *_literally(command),
        ]
        return run(argv, timeout_seconds=60)

    def run(self, command: Sequence[str], *, timeout_seconds: int) -> Completed:
        """Run a command as root, and wait for its end."""
        return run(command, timeout_seconds=timeout_seconds)

    def has_user(self, name: str) -> bool:
        """Whether there is a user of this name."""
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def give(self, path: Path, user: str, group: str) -> None:
        """Change the owner of a file or directory."""
        shutil.chown(path, user, group)

    def systemctl(self, *arguments: str, timeout_seconds: int = 60) -> Completed:
        """Run `systemctl`, and again where it lost systemd, which may be executing itself anew.

        What systemd is asked for twice by that is merged with the first job, or does no harm.

        Raises:
            NoAnswerError: systemd does not answer.
        """
        deadline = time.monotonic() + _NO_ANSWER_SECONDS
        while True:
            done = run(["systemctl", *arguments], timeout_seconds=timeout_seconds)
            lost = arguments[0] == "show" or _LOST.search("\n".join(done.tail))
            if done.returncode == 0 or not lost:
                return done
            if time.monotonic() >= deadline:
                reason = " ".join(done.tail) or f"exit code {done.returncode}"
                raise NoAnswerError(
                    f"systemd does not answer (systemctl {arguments[0]}: {reason}). "
                    "That says nothing about the application.",
                    next_command="systemctl is-system-running; journalctl -b -n 50 _PID=1",
                )
            time.sleep(_ASK_AGAIN_SECONDS)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit; times as seconds since 1970.

        Raises:
            NoAnswerError: systemd does not answer.
        """
        arguments = ["show", "--timestamp=unix", f"--property={','.join(properties)}", "--", unit]
        done = self.systemctl(*arguments, timeout_seconds=_SHOW_TIMEOUT_SECONDS)
        pairs = (line.partition("=") for line in done.stdout.splitlines())
        return {name: value for name, _, value in pairs}

    def journal(self, unit: str, *, since_seconds: float, until_seconds: float | None = None) -> list[str]:
        """The last lines that a unit logged between two times (seconds since 1970), but no requests."""
        until = [] if until_seconds is None else [f"--until=@{until_seconds:.6f}"]
        done = run(
            [
                "journalctl",
                *("--quiet", "--no-pager", "--output=cat", f"--lines={_JOURNAL_LINES}"),
                *(f"--since=@{since_seconds:.6f}", *until, f"--unit={unit}"),
            ],
            timeout_seconds=20,
        )
        return without_requests(done.stdout.splitlines())[-_SHOWN_LINES:]


def without_requests(lines: Sequence[str]) -> list[str]:
    """Lines without those of the access log, which would drown the rest on a busy site."""
    return [line for line in lines if line.strip() and not _REQUEST.match(line)]


def _literally(command: Sequence[str]) -> list[str]:
    """A command line of which systemd expands no variables. It expands none in the program's name."""
    return [command[0], *(word.replace("$", "$$") for word in command[1:])]


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout_seconds: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run a command of the host in silence, and keep all of its standard output.

    Args:
        argv: program and arguments.
        stdin: text for its standard input.
        timeout_seconds: after which it is killed; None for no limit.
        environment: variables on top of this process's own.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**_environment(), **(environment or {})},
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        stderr += f"\n{argv[0]} took longer than {timeout_seconds} s and was stopped"
    return Completed(process.returncode, stdout, stderr.splitlines()[-TAIL_LINES:])


def follow(
    argv: Sequence[str],
    *,
    stdin: str = "",
    keep_stdout: bool = False,
    show: Callable[[str], str] = printable,
) -> Completed:
    """Run a command that may print without end: lines are passed on as they come, and only the last are kept.

    Args:
        argv: program and arguments.
        stdin: text for its standard input.
        keep_stdout: whether standard output is the command's result, kept whole (up to 16 MB) and not shown.
        show: turns a line into what may be kept and shown of it.
    """
    # A file, not a pipe: it waits for no reader.
    with os.fdopen(os.memfd_create("stdin"), "w+", encoding="utf-8") as given:
        given.write(stdin)
        given.flush()
        given.seek(0)
        process = subprocess.Popen(
            argv,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keep_stdout else subprocess.STDOUT,
            env=_environment(),
        )
    if not keep_stdout:
        assert process.stdout
        tail = pass_on(process.stdout, show)
        return Completed(process.wait(), "", tail)
    assert process.stderr
    result = bytearray()
    reader = threading.Thread(target=_collect, args=(process.stdout, result), daemon=True)
    reader.start()
    tail = pass_on(process.stderr, show)
    reader.join()
    return Completed(process.wait(), result.decode(errors="replace"), tail)


def _collect(stream: IO[bytes], result: bytearray) -> None:
    """Read a stream to its end; what is more than the limit is read, too, but not kept."""
    while chunk := stream.read(1 << 16):
        result += chunk[: _RESULT_MAX_BYTES - len(result)]


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
