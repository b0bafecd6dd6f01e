"""Builds with the real uv: every kind of lock file, the kit's servers, hooks, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import uv
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
        project = {"lock": lock, "package": package, "installable": order.pop("installable", False)}
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
    report = workshop.build(lock, installable=True)
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


def test_the_applications_own_server_wins(workshop: Workshop) -> None:
    """Its lock file has it: nothing of the kit replaces it."""
    workshop.write("requirements.txt", make_wheel(workshop.index, "gunicorn", "9.9"))
    report = workshop.build({"kind": "requirements.txt", "path": "requirements.txt", "hashes": True})
    assert report.error == ""
    assert report.packages["gunicorn"] == "9.9"
    assert report.server_packages == ["click", "uvicorn", "uvicorn-worker"]


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


def test_links_lead_into_the_state(workshop: Workshop) -> None:
    """Also where git keeps an empty directory for the app to write to."""
    workshop.write("app/requirements.txt", workshop.dep)
    workshop.write("app/logs/.gitkeep", "")
    report = workshop.build(
        {"kind": "requirements.txt", "path": "app/requirements.txt", "hashes": True},
        subdir="app",
        links={"logs": "/var/lib/farrier/shop/logs", "data/app.db": "/var/lib/farrier/shop/app.db"},
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
