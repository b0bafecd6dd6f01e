"""Builds with the real uv: every kind of lock file, the kit's servers, hooks, and what goes wrong."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uv
from farrier_release import lock_tools
from farrier_release.builder import Build, BuildOrder, BuildReport

from tests.unit.roles.release.wheels import make_wheel

PYPROJECT = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["dep"]
"""
SERVER = ("click", "gunicorn", "uvicorn", "uvicorn-worker")


class Workshop:
    """A source, an index of local wheels, and the order to build."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.source, self.index = root, root / "input", root / "wheels"
        self.source.mkdir()
        self.release = root / "releases" / "r1"
        for name in ("source", ".venv"):
            (self.release / name).mkdir(parents=True)
        kit = "".join(make_wheel(self.index, name, "1.0") for name in SERVER)
        (root / "server.txt").write_text(kit)
        self.dep = make_wheel(self.index, "dep", "1.0")
        make_wheel(self.index, "dep", "2.0")
        self.environment = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self.index)}
        self.cache = cache

    def write(self, name: str, content: str) -> None:
        """A file of the source."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def uv(self, *arguments: str) -> None:
        """What the developer runs to make a lock file."""
        environment = {
            **os.environ,
            **self.environment,
            "UV_PYTHON": sys.executable,
            "UV_CACHE_DIR": str(self.cache),
        }
        subprocess.run([uv.find_uv_bin(), "-q", *arguments], cwd=self.source, env=environment, check=True)

    def build(
        self, lock: dict[str, Any], *, subdir: str = "", package: str = "shop", **order: Any
    ) -> BuildReport:
        """Pack the source and build it."""
        with tarfile.open(self.root / "source.tar.gz", "w:gz") as tar:
            for path in sorted(self.source.iterdir()):
                tar.add(path, path.name)
        project = {"lock": lock, "package": package, "installable": False, **order.pop("project", {})}
        return Build(
            BuildOrder(
                archive=str(self.root / "source.tar.gz"),
                release_directory=str(self.release),
                subdir=subdir,
                project=project,
                python=sys.executable,
                uv=uv.find_uv_bin(),
                cache=str(self.cache),
                server_requirements=str(self.root / "server.txt"),
                environment={**self.environment, **order.pop("environment", {})},
                **order,
            )
        ).run()

    def python(self, code: str) -> str:
        """Run code in the release's environment."""
        python = self.release / ".venv" / "bin" / "python"
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def workshop(tmp_path: Path, cache: Path) -> Workshop:
    """A source with nothing in it."""
    return Workshop(tmp_path, cache)


def test_requirements_with_hashes(workshop: Workshop) -> None:
    """Exactly what is pinned, and the kit's servers on top."""
    workshop.write("requirements.txt", workshop.dep)
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert report.error == ""
    assert workshop.python("import dep; print(dep.VERSION)") == "1.0"
    assert report.server_packages == sorted(SERVER)
    assert report.packages["gunicorn"] == "1.0"
    assert report.python_executable == os.path.realpath(sys.executable)
    assert report.python_version == ".".join(map(str, sys.version_info[:3]))


def test_a_wrong_hash_is_refused(workshop: Workshop) -> None:
    """The build fails, with uv's own words."""
    workshop.write("requirements.txt", "dep==1.0 --hash=sha256:" + "0" * 64)
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert "uv pip install failed" in report.error
    assert any("hash" in line.lower() for line in report.log)


def test_what_a_hashed_list_forgets_is_refused(workshop: Workshop) -> None:
    """A dependency that is not in the list would be another one tomorrow."""
    needy = make_wheel(workshop.index, "needy", "1.0", requires="dep")
    workshop.write("requirements.txt", needy)
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert "uv pip install failed" in report.error
    assert any("dep" in line for line in report.log)


def test_uv_lock(workshop: Workshop) -> None:
    """Beside the project."""
    workshop.write("pyproject.toml", PYPROJECT)
    workshop.uv("lock")
    report = workshop.build({"kind": "uv.lock", "path": "uv.lock"})
    assert report.error == ""
    assert workshop.python("import dep; print(dep.VERSION)") == "2.0"


def test_uv_lock_of_a_workspace(workshop: Workshop) -> None:
    """At its root: only what the one member needs is installed."""
    make_wheel(workshop.index, "unwanted", "1.0")
    workshop.write("pyproject.toml", '[tool.uv.workspace]\nmembers = ["services/*"]\n')
    workshop.write("services/shop/pyproject.toml", PYPROJECT)
    workshop.write(
        "services/other/pyproject.toml",
        PYPROJECT.replace("shop", "other").replace('["dep"]', '["unwanted"]'),
    )
    workshop.uv("lock")
    report = workshop.build({"kind": "uv.lock", "path": "uv.lock"}, subdir="services/shop")
    assert report.error == ""
    assert "dep" in report.packages
    assert "unwanted" not in report.packages


def test_pylock(workshop: Workshop) -> None:
    """The standard's own lock file."""
    workshop.write("pyproject.toml", PYPROJECT)
    workshop.uv("pip", "compile", "--format", "pylock.toml", "-o", "pylock.toml", "pyproject.toml")
    # It names the wheels by paths relative to itself; the release lies elsewhere.
    text = (workshop.source / "pylock.toml").read_text().replace('path = "../', f'path = "{workshop.root}/')
    workshop.write("pylock.toml", text)
    report = workshop.build({"kind": "pylock.toml", "path": "pylock.toml"})
    assert report.error == ""
    assert workshop.python("import dep; print(dep.VERSION)") == "2.0"


def test_the_project_itself_is_installed_where_it_is_a_package(workshop: Workshop) -> None:
    """From src/, by its build backend; no editable link to the source."""
    backend = "from pathlib import Path\nimport zipfile\n\n" + BACKEND
    workshop.write("backend/tiny_backend.py", backend)
    workshop.write(
        "pyproject.toml",
        PYPROJECT
        + '[build-system]\nrequires = []\nbuild-backend = "tiny_backend"\nbackend-path = ["backend"]\n',
    )
    workshop.write("src/shop.py", "WHERE = __file__\n")
    workshop.write("requirements.txt", workshop.dep)
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}
    report = workshop.build(lock, project={"installable": True})
    assert report.error == ""
    assert "site-packages" in workshop.python("import shop; print(shop.WHERE)")


BACKEND = """
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "shop-1.0-py3-none-any.whl"
    files = {
        "shop.py": Path("src/shop.py").read_text(),
        "shop-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\n",
        "shop-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(Path(wheel_directory, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr("shop-1.0.dist-info/RECORD", "".join(f"{file},,\\n" for file in files))
    return name
"""


def test_source_that_no_build_installs_is_imported_from_src(workshop: Workshop) -> None:
    """By every process of the environment, wherever the release lies."""
    workshop.write("requirements.txt", workshop.dep)
    workshop.write("src/shop.py", "WHERE = __file__\n")
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}
    assert workshop.build(lock, project={"import_directory": "src"}).error == ""
    assert workshop.python("import shop; print(shop.WHERE)") == f"{workshop.release}/source/src/shop.py"
    moved = workshop.release.rename(workshop.release.with_name("r2"))
    workshop.release = moved
    assert workshop.python("import shop; print(shop.WHERE)") == f"{moved}/source/src/shop.py"


def test_extras_and_groups_of_a_uv_lock(workshop: Workshop) -> None:
    """Those that are asked for; what is for development stays away."""
    for name in ("more", "job", "lint"):
        make_wheel(workshop.index, name, "1.0")
    workshop.write(
        "pyproject.toml",
        PYPROJECT
        + '[project.optional-dependencies]\nprod = ["more"]\n'
        + '[dependency-groups]\nworker = ["job"]\ndev = ["lint"]\n',
    )
    workshop.uv("lock")
    lock = {"kind": "uv.lock", "path": "uv.lock"}
    report = workshop.build(lock, project={"extras": ["prod"], "groups": ["worker"]})
    assert report.error == ""
    assert set(report.packages) == {"dep", "more", "job", *SERVER}


def test_a_project_of_a_uv_lock_that_is_no_package(workshop: Workshop) -> None:
    """Its build backend, which could not build it, is never called."""
    workshop.write(
        "pyproject.toml", PYPROJECT + '[build-system]\nrequires = []\nbuild-backend = "no_such_backend"\n'
    )
    workshop.uv("lock")
    report = workshop.build({"kind": "uv.lock", "path": "uv.lock"})
    assert report.error == ""
    assert set(report.packages) == {"dep", *SERVER}


class LockTool:
    """A tool of another maker, which prints what it finds in a file, and notes how it was called."""

    CONTENT = (
        "import os, pathlib, sys\n"
        "pathlib.Path(os.environ['CALLS']).open('a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "print('a warning', file=sys.stderr)\n"
        "if pathlib.Path('stale').exists(): sys.exit('the lock is out of date')\n"
        "print(pathlib.Path('exported.txt').read_text())\n"
    )

    def __init__(self, workshop: Workshop, tool: str) -> None:
        self.calls = workshop.root / "calls"
        directory = workshop.root / "lock_tools"
        directory.mkdir()
        (directory / f"{tool}.txt").write_text(make_wheel(workshop.index, tool, "1.0", content=self.CONTENT))
        self.order: dict[str, Any] = {"lock_tools": str(directory), "environment": {"CALLS": str(self.calls)}}
        workshop.write("exported.txt", workshop.dep)


LOCKS = {
    "poetry.lock": '[[package]]\nname = "dep"\nversion = "{}"\n',
    "pdm.lock": '[[package]]\nname = "dep"\nversion = "{}"\n',
    "Pipfile.lock": '{{"default": {{"Dep": {{"version": "=={}"}}}}}}',
}


@pytest.mark.parametrize("kind", LOCKS)
def test_the_lock_of_another_tool(workshop: Workshop, kind: str) -> None:
    """The tool reads it; the release has what it says, and nothing of the tool."""
    tool = lock_tools.TOOLS[kind]
    fake = LockTool(workshop, tool)
    workshop.write(kind, LOCKS[kind].format("1.0"))
    report = workshop.build({"kind": kind, "path": kind}, **fake.order)
    assert (report.error, report.log) == ("", [])
    assert workshop.python("import dep; print(dep.VERSION)") == "1.0"
    assert tool not in report.packages
    assert not list((workshop.release / "source").glob(".farrier*"))


def test_extras_and_groups_of_a_poetry_lock(workshop: Workshop) -> None:
    """They are Poetry's to choose."""
    fake = LockTool(workshop, "poetry")
    workshop.write("poetry.lock", LOCKS["poetry.lock"].format("1.0"))
    chosen = {"extras": ["prod"], "groups": ["worker"]}
    lock = {"kind": "poetry.lock", "path": "poetry.lock"}
    assert workshop.build(lock, project=chosen, **fake.order).error == ""
    assert "--only main,worker --extras prod" in fake.calls.read_text()


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_that_is_out_of_date_is_refused_in_its_tools_words(workshop: Workshop, kind: str) -> None:
    """Nothing is installed from it."""
    fake = LockTool(workshop, lock_tools.TOOLS[kind])
    workshop.write(kind, LOCKS[kind].format("1.0"))
    workshop.write("stale", "")
    report = workshop.build({"kind": kind, "path": kind}, **fake.order)
    assert report.error.startswith(lock_tools.TOOLS[kind])
    assert report.log[-1] == "the lock is out of date"


@pytest.mark.parametrize("kind", LOCKS)
def test_what_is_not_as_locked_is_refused(workshop: Workshop, kind: str) -> None:
    """Whatever the conversion did, the lock has the last word."""
    fake = LockTool(workshop, lock_tools.TOOLS[kind])
    workshop.write(kind, LOCKS[kind].format("1.1"))
    report = workshop.build({"kind": kind, "path": kind}, **fake.order)
    assert report.error == f"What was installed is not what {kind} locks: dep 1.0."


@pytest.mark.parametrize(("constraints", "version"), [({}, "2.0"), ({"dep": "1.0", "gone": "7"}, "1.0")])
def test_what_a_list_leaves_open_is_what_it_was_before(
    workshop: Workshop, capfd: pytest.CaptureFixture[str], constraints: dict[str, str], version: str
) -> None:
    """Resolved once; the build says of which packages."""
    make_wheel(workshop.index, "needy", "1.0", requires="dep")
    workshop.write("requirements.txt", "-r base.txt\n")
    workshop.write("base.txt", "needy==1.0\n")
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": False}
    report = workshop.build(lock, constraints=constraints, completed_by="r0" if constraints else "")
    assert (report.error, report.packages["dep"]) == ("", version)
    how = "in the versions of r0" if constraints else "their versions are kept for later builds"
    assert f"requirements.txt does not name dep: {how}\n" in capfd.readouterr().err


def make_library(repository: Path) -> str:
    """Make a repository with the package `shop`; returns its commit."""
    (repository / "src").mkdir(parents=True)
    (repository / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "tiny_backend"\nbackend-path = ["."]\n'
    )
    (repository / "tiny_backend.py").write_text("from pathlib import Path\nimport zipfile\n\n" + BACKEND)
    (repository / "src" / "shop.py").write_text("WHERE = 'git'\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run(["git", *identity, *arguments], cwd=repository, check=True)
    head = ["git", "rev-parse", "HEAD"]
    return subprocess.run(head, cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


class Private(SimpleHTTPRequestHandler):
    """An index, or a repository, for those who know a token."""

    WANTED = f"Basic {base64.b64encode(b'ci:the-token').decode()}"

    def do_GET(self) -> None:
        """Answer 401 to everybody else."""
        if self.headers.get("Authorization") == self.WANTED:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="private"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def private_server(workshop: Workshop) -> Iterator[str]:
    """HOST:PORT of a server of the workshop's files."""
    handler = partial(Private, directory=str(workshop.root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("token", ["the-token", ""])
def test_a_private_index(workshop: Workshop, private_server: str, token: str) -> None:
    """As docs/deploy.md has it. Without the token nobody waits for an answer."""
    make_wheel(workshop.root / "simple" / "secret-sauce", "secret-sauce", "1.0")
    workshop.write("requirements.txt", "secret-sauce==1.0\n")
    environment = {
        "UV_NO_INDEX": "0",
        "UV_DEFAULT_INDEX": f"http://{f'ci:{token}@' if token else ''}{private_server}/simple",
    }
    lock = {"kind": "requirements.txt", "path": "requirements.txt"}
    report = workshop.build(lock, environment=environment)
    assert bool(report.error) is not bool(token)
    assert report.packages.get("secret-sauce") == ("1.0" if token else None)


@pytest.mark.parametrize("token", ["the-token", ""])
def test_a_private_repository(workshop: Workshop, private_server: str, token: str) -> None:
    """The same for a dependency in git."""
    head = make_library(workshop.root / "library")
    git = ["git", "-C", str(workshop.root / "library")]
    subprocess.run([*git, "update-server-info"], check=True)
    url = f"http://{private_server}/library/.git"
    workshop.write("requirements.txt", f"shop @ git+{url}@{head}\n")
    environment = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.http://ci:{token}@{private_server}/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"http://{private_server}/",
    }
    report = workshop.build(
        {"kind": "requirements.txt", "path": "requirements.txt"},
        project={"needs_git": True},
        environment=environment if token else {},
    )
    assert bool(report.error) is not bool(token)
    assert report.packages.get("shop") == ("1.0" if token else None)


def test_a_dependency_in_git_on_a_host_without_git(workshop: Workshop) -> None:
    """Refused before anything is unpacked."""
    workshop.write("requirements.txt", "dep @ git+https://git.example.org/dep@0123\n")
    report = workshop.build(
        {"kind": "requirements.txt", "path": "requirements.txt"},
        project={"needs_git": True},
        environment={"PATH": str(workshop.root)},
    )
    assert report.error.startswith("requirements.txt names dependencies in git, and this host has no git")
    assert not list((workshop.release / "source").iterdir())


def test_a_dependency_in_git_is_installed(workshop: Workshop) -> None:
    """In the very commit that the lock names."""
    repository = workshop.root / "library"
    workshop.write("requirements.txt", f"shop @ git+file://{repository}@{make_library(repository)}\n")
    lock = {"kind": "requirements.txt", "path": "requirements.txt"}
    report = workshop.build(lock, project={"needs_git": True})
    assert (report.error, report.packages["shop"]) == ("", "1.0")


def test_the_lock_that_is_used_is_named(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    """With those that are not."""
    workshop.write("requirements.txt", workshop.dep)
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True, "unused": ["old.txt"]}
    assert workshop.build(lock).error == ""
    assert "installing from requirements.txt (and not from old.txt)\n" in capfd.readouterr().err


def test_the_applications_own_server_wins(workshop: Workshop) -> None:
    """Its lock file has it: nothing of the kit replaces it."""
    workshop.write("requirements.txt", make_wheel(workshop.index, "gunicorn", "9.9"))
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert report.error == ""
    assert report.packages["gunicorn"] == "9.9"
    assert report.server_packages == ["click", "uvicorn", "uvicorn-worker"]


def test_a_server_that_does_not_fit_is_refused_before_the_rest(workshop: Workshop) -> None:
    """Hooks may take minutes; what is missing comes from the kit, and fits."""
    workshop.write("requirements.txt", make_wheel(workshop.index, "gunicorn", "9.9"))
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}
    supported = {"gunicorn": ["21", "28"], "uvicorn": ["0.29", "0.55"]}
    report = workshop.build(lock, supported=supported, after_build=["false"])
    assert report.unsupported_server == "gunicorn 9.9 (the hand-over worker needs >=21,<28)"
    assert report.error == f"its lock file does not fit: {report.unsupported_server}."


def test_hooks_run_in_the_project(workshop: Workshop) -> None:
    """Before there is an environment, and after, with its programs first."""
    workshop.write("app/requirements.txt", workshop.dep)
    report = workshop.build(
        {"kind": "requirements.txt", "path": "app/requirements.txt", "hashes": True},
        subdir="app",
        before_build=["sh -c 'echo one > made.txt'"],
        after_build=["""python -c 'import dep; open("made.txt", "a").write(dep.VERSION)'"""],
    )
    assert report.error == ""
    assert (workshop.release / "source" / "app" / "made.txt").read_text() == "one\n1.0"


def test_hooks_see_the_environment_of_the_app(workshop: Workshop) -> None:
    """Its settings, without which many do not even start; what belongs to the build stays as it is."""
    workshop.write("requirements.txt", workshop.dep)
    report = workshop.build(
        {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True},
        hook_environment={"SETTINGS": "shop.production", "PATH": "/nowhere", "UV_OFFLINE": "no"},
        after_build=["""python -c 'import os, dep; open("made.txt", "w").write(os.environ["SETTINGS"])'"""],
    )
    assert report.error == ""
    assert (workshop.release / "source" / "made.txt").read_text() == "shop.production"


def test_links_lead_into_the_state(workshop: Workshop) -> None:
    """Also where git keeps an empty directory for the app to write to, or a hook has left a file."""
    workshop.write("app/requirements.txt", workshop.dep)
    workshop.write("app/logs/.gitkeep", "")
    report = workshop.build(
        {"kind": "requirements.txt", "path": "app/requirements.txt", "hashes": True},
        subdir="app",
        links={"logs": "/var/lib/farrier/shop/logs", "data/app.db": "/var/lib/farrier/shop/app.db"},
        # As programs do that make their key where they find none.
        after_build=["sh -c 'mkdir data && touch data/app.db'"],
    )
    assert report.error == ""
    project = workshop.release / "source" / "app"
    assert str((project / "logs").readlink()) == "/var/lib/farrier/shop/logs"
    assert str((project / "data" / "app.db").readlink()) == "/var/lib/farrier/shop/app.db"


@pytest.mark.parametrize("place", ["logs", "logs/old.log"])
def test_a_link_hides_nothing_of_the_source(workshop: Workshop, place: str) -> None:
    """What the authors have put there is needed, or it is a mistake that they should hear of."""
    workshop.write("requirements.txt", workshop.dep)
    workshop.write("logs/old.log", "")
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}
    report = workshop.build(lock, links={place: "/var/lib/farrier/shop/logs"})
    assert f"links: {place} " in report.error
    assert "a link would hide" in report.error


def test_a_failing_hook_ends_the_build(workshop: Workshop) -> None:
    """With its name and its own words."""
    workshop.write("requirements.txt", workshop.dep)
    report = workshop.build(
        {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True},
        after_build=["sh -c 'echo no pages; exit 3'"],
    )
    assert report.error.startswith("after_build")
    assert "exit code 3" in report.error
    assert report.log == ["no pages"]


def test_a_hook_that_prints_without_end(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    """Its lines are shown as they come; the end of them is kept."""
    workshop.write("requirements.txt", workshop.dep)
    report = workshop.build(
        {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True},
        before_build=["sh -c 'seq 100000; exit 3'"],
    )
    assert report.log == [str(number) for number in range(99_961, 100_001)]
    assert capfd.readouterr().err.startswith("1\n2\n3\n")


@pytest.mark.parametrize("command", ["no-such-program", "'unbalanced"])
def test_a_hook_that_cannot_run_ends_the_build(workshop: Workshop, command: str) -> None:
    """It is no traceback."""
    workshop.write("requirements.txt", workshop.dep)
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}
    assert workshop.build(lock, before_build=[command]).error.startswith("before_build")


def test_a_lock_file_that_is_not_there(workshop: Workshop) -> None:
    """The controller has seen it; somebody has changed the archive since, or a hook removed it."""
    workshop.write("other.txt", "")
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert "requirements.txt is not in the source" in report.error


def test_a_subdir_that_is_not_there(workshop: Workshop) -> None:
    """Said in the words of the inventory."""
    workshop.write("requirements.txt", workshop.dep)
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt"}, subdir="nowhere")
    assert "no directory 'nowhere'" in report.error


def test_what_a_worker_imports_is_compiled(workshop: Workshop) -> None:
    """The application cannot write in its release, so every worker would compile it again."""
    workshop.write("requirements.txt", workshop.dep)
    workshop.write("main.py", "x = 1\n")
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert report.error == ""
    assert list((workshop.release / "source" / "__pycache__").glob("main.*.pyc"))
    assert list((workshop.release / ".venv").glob("lib/*/site-packages/__pycache__/dep.*.pyc"))


def test_a_hook_that_edits_what_is_installed_edits_this_release_alone(workshop: Workshop) -> None:
    """Appending goes through a hard link into uv's cache, and from there into every later release."""
    workshop.write("requirements.txt", workshop.dep)
    lock = {"kind": "requirements.txt", "path": "requirements.txt", "hashes": True}
    edit = """python -c 'import dep; open(dep.__file__, "a").write("VERSION += str(5)\\n")'"""
    assert workshop.build(lock, after_build=[edit]).error == ""
    assert workshop.python("import dep; print(dep.VERSION)") == "1.05"
    for name in ("source", ".venv"):
        shutil.rmtree(workshop.release / name)
        (workshop.release / name).mkdir()
    assert workshop.build(lock).error == ""
    assert workshop.python("import dep; print(dep.VERSION)") == "1.0"


def test_the_order_and_the_report_travel_as_json(workshop: Workshop) -> None:
    """The build runs in a process of its own, whose standard output is the report alone."""
    workshop.write("requirements.txt", workshop.dep)
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert report.error == ""
    order = {
        "archive": str(workshop.root / "absent.tar.gz"),
        "release_directory": str(workshop.release),
        "subdir": "",
        "project": {"lock": {"kind": "requirements.txt", "path": "requirements.txt"}},
        "python": sys.executable,
        "uv": uv.find_uv_bin(),
        "cache": str(workshop.cache),
        "server_requirements": str(workshop.root / "server.txt"),
    }
    files = Path(__file__).parents[4] / "roles" / "release" / "files"
    done = subprocess.run(
        [sys.executable, "-m", "farrier_release.builder"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=files,
        check=True,
    )
    assert "absent.tar.gz" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize(
    "forged", [{"error": None}, {"log": "no list"}, {"log": [1]}, {"packages": {"a": []}}, {"more": 1}]
)
def test_a_forged_report_is_none(forged: dict[str, Any]) -> None:
    """Foreign code has a hand in it, and root reads it."""
    with pytest.raises(ValueError, match="is "):
        BuildReport.from_dict({"error": "", **forged})
