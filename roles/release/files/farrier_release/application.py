"""Everything that a phase works with."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from functools import cached_property

from farrier_release.config import Configuration
from farrier_release.errors import ReleaseError, UsageError
from farrier_release.host import Completed, Host, Sandboxed
from farrier_release.masking import Masking, masking_of
from farrier_release.releases import Releases
from farrier_release.state import StateFile


@dataclass(frozen=True)
class Application:
    """One application on this host.

    Args:
        configuration: its settings.
        host: the machine.
    """

    configuration: Configuration
    host: Host

    @cached_property
    def releases(self) -> Releases:
        """Its releases."""
        return Releases(self.configuration)

    @cached_property
    def state(self) -> StateFile:
        """What is under way."""
        return StateFile(self.configuration)

    @cached_property
    def masking(self) -> Masking:
        """For all that is kept or shown of the application's own text."""
        return masking_of(self.configuration)

    @property
    def command(self) -> str:
        """How to call this tool for this application, for messages."""
        return f"farrier-release --app {self.configuration.name}"

    @property
    def transaction_unit(self) -> str:
        """Name of the unit that carries a transaction on."""
        return f"farrier-{self.configuration.name}-transaction"

    @property
    def build_unit(self) -> str:
        """Name of the unit that builds."""
        return f"farrier-{self.configuration.name}-build"

    @property
    def tool(self) -> list[str]:
        """How a unit calls this tool for this application."""
        return [str(self.configuration.tool), "--app", self.configuration.name]

    def live_release(self) -> str:
        """Id of the live release.

        Raises:
            UsageError: there is none.
        """
        live = self.releases.live()
        if live is None:
            raise UsageError(
                f"No release of {self.configuration.name} is live on this host.",
                next_command=f"ansible-playbook farrier.kit.deploy -e app={self.configuration.name}",
            )
        return live

    def say(self, message: str) -> None:
        """Tell the operator what is going on, on standard error."""
        print(self.masking.text(f"{self.configuration.name}: {message}"), file=sys.stderr, flush=True)

    def run_task(self, kind: str, command: str, release: str) -> Completed:
        """Run one command of the application in a release, as its user, in its environment and sandbox.

        Args:
            kind: `migrate` or the hook's name; part of the unit's name.
            command: a line, split as a shell would split it; no shell runs it.
            release: the release to run it in.
        """
        settings = self.configuration
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ReleaseError(f"{kind}: {command!r} is not a command line: {error}") from None
        is_migration = kind == "migrate"
        limit_seconds = settings.migrate_timeout_seconds if is_migration else settings.task_timeout_seconds
        return self.host.run_sandboxed(self.sandboxed(kind, words, release, limit_seconds))

    def sandboxed(self, kind: str, words: list[str], release: str, limit_seconds: int | None) -> Sandboxed:
        """A command in a release, with the application's user, environment and sandbox.

        Args:
            kind: part of the unit's name.
            words: program and arguments.
            release: the release to run it in.
            limit_seconds: after which systemd ends it; None for never.
        """
        settings = self.configuration
        directory = settings.release_directory(release)
        binaries = directory / ".venv" / "bin"
        return Sandboxed(
            unit=f"farrier-{settings.name}-{kind.replace('_', '-')}",
            user=settings.user,
            command=[
                *(str(binaries / "python"), "-m", "farrier_gunicorn.execute"),
                *("--settings", str(settings.gunicorn_settings), "--", *words),
            ],
            directory=directory / "source" / settings.subdir,
            properties=settings.task_properties,
            environment={
                "FARRIER_RELEASE_DIRECTORY": str(directory),
                "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin",
                "PYTHONPATH": str(settings.library_directory),
            },
            show=self.masking.text,
            timeout_seconds=limit_seconds,
        )

    def run_tasks(self, kind: str, commands: tuple[str, ...], release: str) -> None:
        """Run commands one after the other.

        Raises:
            ReleaseError: one failed; the rest was not run.
        """
        for command in commands:
            self.say(f"{kind}: {command}")
            done = self.run_task(kind, command, release)
            if done.returncode != 0:
                output = [*done.stdout.splitlines(), *done.tail][-40:]
                raise ReleaseError(
                    f"{kind}: {command!r} {how_it_ended(done.returncode)}",
                    log=output,
                    next_command="correct it and deploy again",
                )

    def run_tasks_regardless(self, kind: str, commands: tuple[str, ...], release: str) -> None:
        """Run commands whose failure is shown, but changes nothing."""
        try:
            self.run_tasks(kind, commands, release)
        except ReleaseError as error:
            self.say("\n".join([error.message, *error.log]))


def how_it_ended(returncode: int) -> str:
    """An exit code in words, to follow the name of what was run."""
    if returncode < 0 or returncode > 128:
        return f"was killed by signal {-returncode if returncode < 0 else returncode - 128}."
    return f"failed with exit code {returncode}."
