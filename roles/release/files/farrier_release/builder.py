"""The build itself. Runs as the build user in a sandbox: everything it starts may be foreign code.

Reads a `BuildOrder` as JSON from standard input and writes a `BuildReport` as JSON to standard output; what
the programs it starts have to say goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from farrier_release import lock_tools
from farrier_release.extract import UnsafeArchiveError, extract
from farrier_release.output import pass_on
from farrier_release.seal import unshare
from farrier_release.server_packages import installed_packages, missing_requirements, unsupported


@dataclass
class BuildOrder:
    """What to build.

    Args:
        archive: source archive.
        release_directory: holds two empty directories, `source` and `.venv`, that the build user owns.
        subdir: the project within the source.
        project: what the controller found in the source: `lock` ({kind, path, unused, hashes, sha256}),
            `package`, `installable`, `needs_git`, `import_directory`, `extras`, `groups`.
        python: path of the interpreter.
        uv: path of uv.
        cache: uv's cache directory.
        server_requirements: the kit's pinned requirements, with hashes.
        supported: name to the first version of a server that the worker works with, and the first that not.
        live_directory: directory of the live release, or "".
        environment: variables for everything that is started.
        hook_environment: those of the application, for hooks.
        before_build, after_build: hooks.
        completed_by: the release whose packages complete a requirements.txt that names only a part, or "".
        constraints: names and versions of these packages.
        lock_tools: directory with the pinned requirements of the tools that read other locks than uv's.
        links: places in the project, each with what a symlink there leads to.
    """

    archive: str
    release_directory: str
    subdir: str
    project: dict[str, Any]
    python: str
    uv: str
    cache: str
    server_requirements: str
    supported: dict[str, list[str]] = field(default_factory=dict)
    live_directory: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    hook_environment: dict[str, str] = field(default_factory=dict)
    before_build: list[str] = field(default_factory=list)
    after_build: list[str] = field(default_factory=list)
    completed_by: str = ""
    constraints: dict[str, str] = field(default_factory=dict)
    lock_tools: str = str(Path(__file__).with_name("requirements"))
    links: dict[str, str] = field(default_factory=dict)


@dataclass
class BuildReport:
    """How a build went.

    Args:
        error: what failed, or "".
        log: the failed program's own lines.
        python_version, python_executable: the interpreter, its links resolved.
        packages: name and version of all that is installed, names normalised.
        server_packages: what came from the kit because the application brought none.
        unsupported_server: what the worker cannot work with, in words.
        seconds: time taken by each step.
    """

    error: str = ""
    log: list[str] = field(default_factory=list)
    python_version: str = ""
    python_executable: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    server_packages: list[str] = field(default_factory=list)
    unsupported_server: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BuildReport:
        """The report that a build has written, or whoever had a hand in it.

        Raises:
            ValueError: it is no report.
        """
        wanted = asdict(cls())
        for name, value in data.items():
            items = value.values() if isinstance(value, dict) else value
            kind = (int, float) if name == "seconds" else str
            if type(value) is not type(wanted.get(name)) or not all(isinstance(item, kind) for item in items):
                raise ValueError(f"{name} is {value!r}")
        return cls(**data)


class StepError(Exception):
    """A step failed; `log` has the program's own lines."""

    def __init__(self, message: str, log: list[str] | None = None) -> None:
        super().__init__(message)
        self.log = log or []


class Build:
    """One build."""

    def __init__(self, order: BuildOrder) -> None:
        self.order = order
        self.report = BuildReport()
        root = Path(order.release_directory)
        self.source = root / "source"
        self.project = self.source / order.subdir
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.environment = {
            # Asking for a password or for trust would wait for ever: nobody sees the question.
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": order.cache,
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "PATH": f"{self.venv}/bin:/usr/local/bin:/usr/bin:/bin",
            "UV_CACHE_DIR": order.cache,
            "UV_LINK_MODE": "hardlink",
            "UV_NO_PROGRESS": "1",
            "UV_PROJECT_ENVIRONMENT": str(self.venv),
            "UV_PYTHON_DOWNLOADS": "never",
            # The host's own certificates, so that one of a company's own authority is believed.
            "UV_SYSTEM_CERTS": "1",
            "VIRTUAL_ENV": str(self.venv),
            **lock_tools.ENVIRONMENT,
            **order.environment,
        }

    def run(self) -> BuildReport:
        """Build; failures are in the report."""
        steps = (
            ("tools", self.check_tools),
            ("unpack", self.unpack),
            ("before_build", lambda: self.hooks("before_build", self.order.before_build)),
            ("environment", self.make_environment),
            ("dependencies", self.install_locked),
            ("import", self.make_importable),
            ("server", self.install_server),
            ("after_build", self.after_build),
            ("links", self.link_state),
            ("bytecode", self.compile),
        )
        for name, step in steps:
            started = time.monotonic()
            try:
                step()
            except StepError as error:
                self.report.error, self.report.log = str(error), error.log
                return self.report
            except (OSError, ValueError, UnsafeArchiveError, tarfile.TarError, EOFError) as error:
                self.report.error = f"{name}: {error}"
                return self.report
            self.report.seconds[name] = round(time.monotonic() - started, 3)
        return self.report

    def check_tools(self) -> None:
        """What the lock needs is on this host."""
        if self.order.project.get("needs_git") and not shutil.which("git", path=self.environment["PATH"]):
            raise StepError(
                f"{self.order.project['lock']['path']} names dependencies in git, and this host has no git: "
                "add packages: [git] to the app in the inventory, and run site.yml."
            )

    def unpack(self) -> None:
        """The source is in its place."""
        extract(Path(self.order.archive), self.source)
        if not self.project.resolve().is_relative_to(self.source.resolve()) or not self.project.is_dir():
            raise StepError(f"The source has no directory {self.order.subdir!r} (subdir).")
        self.check_links()

    def make_environment(self) -> None:
        """An empty virtual environment."""
        self._uv("venv", "--no-project", "--allow-existing", "--python", self.order.python, str(self.venv))

    def install_locked(self) -> None:
        """Exactly what the application's lock file says, and the application where it is a package."""
        lock = self.order.project["lock"]
        path = self.source / lock["path"]
        if not path.is_file():
            raise StepError(f"The lock file {lock['path']} is not in the source.")
        unused = f" (and not from {', '.join(lock['unused'])})" if lock.get("unused") else ""
        print(f"installing from {lock['path']}{unused}", file=sys.stderr, flush=True)
        if lock["kind"] == "uv.lock":
            self._locked_by_uv(path)
            return
        if lock["kind"] in lock_tools.TOOLS:
            self._locked_by_tool(lock["kind"], path)
        elif lock["kind"] == "pylock.toml":
            self._uv_offline_first("pip", "sync", "--python", str(self.python), str(path))
        elif lock.get("hashes"):
            self._pip_install("--require-hashes", "--requirement", str(path))
        else:
            self._complete(path)
        if self.order.project.get("installable"):
            self._pip_install("--no-deps", str(self.project))

    def _complete(self, path: Path) -> None:
        """A list without hashes may leave packages open: they are the same in each build of the same list."""
        constraints = Path(self.order.cache) / "constraints.txt"
        pins = [f"{name}=={version}\n" for name, version in self.order.constraints.items()]
        constraints.write_text("".join(pins), encoding="utf-8")
        self._pip_install("--constraint", str(constraints), "--requirement", str(path))
        added = set(installed_packages(self.venv)) - lock_tools.named(path)
        if added:
            what = f"{path.name} does not name {', '.join(sorted(added))}: "
            by = self.order.completed_by
            how = f"in the versions of {by}" if by else "their versions are kept for later builds"
            print(what + how, file=sys.stderr, flush=True)

    def make_importable(self) -> None:
        """A `src` directory that no build installs is on the path of every process of this environment."""
        directory = self.order.project.get("import_directory")
        if directory:
            for packages in self.venv.glob("lib/python3*/site-packages"):
                place = os.path.relpath(self.project / directory, packages)
                (packages / "farrier_project.pth").write_text(f"{place}\n", encoding="utf-8")

    def _chosen(self, key: str) -> list[str]:
        return self.order.project.get(key) or []

    def _locked_by_tool(self, kind: str, path: Path) -> None:
        """By uv, from what the lock's own tool says is locked."""
        tool = lock_tools.TOOLS[kind]
        python = self._lock_tool(tool)
        listed = self.project / ".farrier-requirements.txt"  # its relative paths are the project's
        for arguments in lock_tools.commands(kind, self._chosen("extras"), self._chosen("groups")):
            self._run(
                [python, "-m", tool, *arguments],
                shlex.join([tool, *arguments]),
                self.project,
                is_trial=True,
                output=listed,
            )
        hashes = ["--require-hashes"] if lock_tools.is_hashed(listed.read_text(encoding="utf-8")) else []
        self._pip_install("--no-deps", *hashes, "--requirement", str(listed))
        listed.unlink()
        wrong = lock_tools.strangers(kind, path.read_text(encoding="utf-8"), installed_packages(self.venv))
        if wrong:
            raise StepError(f"What was installed is not what {kind} locks: {', '.join(wrong)}.")

    def _lock_tool(self, tool: str) -> str:
        """Python of an environment of its own with a tool."""
        environment = Path(self.order.cache) / "lock-tools" / tool
        python = str(environment / "bin" / "python")
        self._uv("venv", "--no-project", "--clear", "--python", self.order.python, str(environment))
        pinned = str(Path(self.order.lock_tools) / f"{tool}.txt")
        self._uv_offline_first("pip", "sync", "--python", python, "--require-hashes", pinned)
        return python

    def _locked_by_uv(self, path: Path) -> None:
        arguments = ["sync", "--frozen", "--no-editable", "--python", str(self.python)]
        arguments += [f"--extra={name}" for name in self._chosen("extras")]
        arguments += [f"--group={name}" for name in self._chosen("groups")]
        if "dev" not in self._chosen("groups"):
            arguments.append("--no-dev")
        if not self.order.project.get("installable"):
            arguments.append("--no-install-project")
        if path.parent != self.project:
            arguments += ["--package", self.order.project["package"]]
        self._uv_offline_first(*arguments, "--project", str(path.parent))

    def install_server(self) -> None:
        """gunicorn, uvicorn and its worker for gunicorn: the application's own versions, else the kit's."""
        requirements = Path(self.order.server_requirements).read_text(encoding="utf-8")
        brought = installed_packages(self.venv)
        supported = self.order.supported.items()
        fault = unsupported(
            brought, {name: (first, end) for name, (first, end) in supported if name in brought}
        )
        if fault:
            self.report.unsupported_server = fault
            raise StepError(f"its lock file does not fit: {fault}.")
        missing = missing_requirements(requirements, set(brought))
        if missing:
            file = Path(self.order.cache) / "server-requirements.txt"
            file.write_text("\n".join(missing.values()) + "\n", encoding="utf-8")
            self._pip_install("--no-deps", "--require-hashes", "--requirement", str(file))
        self.report.server_packages = sorted(missing)
        self.report.packages = installed_packages(self.venv)
        executable = self.python.resolve()
        self.report.python_executable = str(executable)
        configuration = (self.venv / "pyvenv.cfg").read_text(encoding="utf-8")
        version = re.search(r"^version(?:_info)?\s*=\s*([\d.]+)", configuration, re.MULTILINE)
        self.report.python_version = version.group(1) if version else ""

    def hooks(self, kind: str, commands: list[str]) -> None:
        """Commands of the operator."""
        environment = {**self.order.hook_environment, **self.environment}
        for command in commands:
            self._run(shlex.split(command), f"{kind}: {command!r}", self.project, environment=environment)

    def after_build(self) -> None:
        """Hooks that may edit what is installed: in this release, not in uv's cache as well."""
        if self.order.after_build:
            for directory, _, names in os.walk(self.venv):
                for path in (f"{directory}/{name}" for name in names):
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                        unshare(path, status)
        self.hooks("after_build", self.order.after_build)

    def check_links(self) -> None:
        """No link into the app's state hides what its authors have put there."""
        for place in self.order.links:
            path = self.project / place
            # A directory that is there for git has a file such as .gitkeep.
            kept = [entry.name for entry in path.iterdir() if entry.name[0] != "."] if path.is_dir() else []
            if path.is_symlink() or path.is_file():
                raise StepError(f"links: {place} is a file of the source that a link would hide")
            if kept:
                raise StepError(
                    f"links: {place} has files in the source that a link would hide: {kept[0]}, …"
                )

    def link_state(self) -> None:
        """Make the links into the app's state, in place of what the build itself may have made there."""
        for place, target in self.order.links.items():
            path = self.project / place
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)

    def compile(self) -> None:
        """What a worker imports is compiled already."""
        pairs = ["", str(self.source)]
        live = Path(self.order.live_directory) / ".venv" / "lib" if self.order.live_directory else None
        for library in (self.venv / "lib").iterdir():
            old = live / library.name if live and (live / library.name).is_dir() else ""
            pairs += [str(old), str(library)]
        script = Path(__file__).with_name("bytecode.py")
        self._run([str(self.python), "-I", "-S", str(script), *pairs], "Compiling", self.source)

    def _pip_install(self, *arguments: str) -> None:
        self._uv_offline_first("pip", "install", "--python", str(self.python), *arguments)

    def _uv_offline_first(self, *arguments: str) -> None:
        """Run uv from its cache alone, and only if that lacks something with the network.

        A pinned set is the same from either; without the network a deploy is quicker, and survives an index
        that is down.
        """
        try:
            self._uv(*arguments, "--offline", is_trial=True)
        except StepError:
            self._uv(*arguments)

    def _uv(self, *arguments: str, is_trial: bool = False) -> None:
        argv = [self.order.uv, "--quiet", *arguments]
        self._run(argv, f"uv {' '.join(arguments[:2])}", self.project, is_trial=is_trial)

    def _run(
        self,
        argv: list[str],
        what: str,
        directory: Path,
        *,
        is_trial: bool = False,
        output: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Run a program; `output` gets its result, where that is not to be shown."""
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(output.open("wb")) if output else None
            process = stack.enter_context(
                subprocess.Popen(
                    argv,
                    cwd=directory,
                    env=environment or self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file or subprocess.PIPE,
                    stderr=subprocess.PIPE if file else subprocess.STDOUT,
                )
            )
            stream = process.stderr if file else process.stdout
            assert stream
            tail = pass_on(stream, is_shown=not is_trial)
        if process.returncode != 0:
            raise StepError(f"{what} failed (exit code {process.returncode}).", tail[-40:])


def main() -> None:
    """Build what standard input asks for."""
    os.umask(0o022)
    order = BuildOrder(**json.load(sys.stdin))
    json.dump(asdict(Build(order).run()), sys.stdout)


if __name__ == "__main__":
    main()
