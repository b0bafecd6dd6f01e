"""What a reload takes up: settings, environment, releases; and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from farrier_gunicorn import status

from tests.unit.roles.app_server.host import LIBRARY, Host
from tests.unit.roles.app_server.load import Load
from tests.unit.roles.app_server.test_handover import codes


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda host: (host.directory / "gunicorn.json").write_text("{"), "gunicorn.json:1:2: not JSON"),
        (lambda host: host.write_settings(workers="many"), "workers must be a whole number"),
        (lambda host: host.write_settings(wrokers=2), "there is no setting wrokers"),
        (
            lambda host: host.write_settings(run_directory="/run/other"),
            "run_directory has changed: farrier-release",
        ),
        (
            lambda host: host.write_settings(worker_class="stock"),
            "worker_class has changed: farrier-release --app example restart",
        ),
        (lambda host: host.write_settings(keepalive_seconds=1), "longer than proxy_keepalive_seconds"),
        (lambda host: (host.directory / "environment.json").write_text("[]"), "must hold one JSON object"),
        (lambda host: (host.directory / "environment.json").unlink(), "environment.json: cannot be read"),
        (lambda host: host.activate("nowhere"), "no release there"),
    ],
)
def test_mistake_is_refused_and_told(host: Host, break_it: Callable[[Host], object], reason: str) -> None:
    """gunicorn would end itself and leave its workers to nobody."""
    host.start()
    workers = {worker.pid for worker in host.ready()}
    settings, python = dict(host.settings), host.current.resolve() / ".venv" / "bin" / "python"
    with Load(host.socket) as load:
        break_it(host)
        refused = host.reload(str(python))
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert reason in status.read_master(host.run_directory).settings_error
        assert {worker.pid for worker in host.ready()} == workers
        load.wait_for_more(20)

        host.settings.clear()
        host.write_settings(**settings)
        host.write_environment({})
        assert host.deploy("2").returncode == 0
        assert status.read_master(host.run_directory).settings_error is None
    assert load.failures == []


def test_broken_settings_file_is_refused(host: Host) -> None:
    """gunicorn's own reading of it exits; that, too, must not be the end."""
    library = host.directory / "library"
    shutil.copytree(LIBRARY / "farrier_gunicorn", library / "farrier_gunicorn")
    settings = library / "farrier_gunicorn" / "settings.py"
    host.start(command=[*host.command[:-1], str(settings)], PYTHONPATH=str(library))
    good = settings.read_text()
    for mistake, reason in [
        ("workers = ", "SyntaxError"),
        (good + "\nworkers = 'x'\n", "ValueError"),
    ]:
        settings.write_text(mistake)
        refused = host.reload()
        assert refused.returncode == 1
        assert reason in refused.stderr
        assert codes(host) == {"1"}
    settings.write_text(good)
    assert host.deploy("2").returncode == 0
    assert codes(host) == {"2"}


def test_environment_is_taken_up_and_what_was_removed_is_gone(host: Host) -> None:
    """A secret that was withdrawn must not live on in workers; values are passed on byte for byte."""
    host.write_environment({"STAYS": "a", "GOES": "b", "HOME": "/elsewhere"})
    host.start(HOME="/before")
    environ = host.get()["environ"]
    assert (environ["STAYS"], environ["GOES"], environ["HOME"]) == ("a", "b", "/elsewhere")
    assert environ["RELEASE_ID"] == "1"

    host.write_environment({"STAYS": "c", "COMES": " =\n\u00e4 "})
    assert host.deploy("2").returncode == 0
    environ = host.get()["environ"]
    assert (environ["STAYS"], environ["COMES"], environ["HOME"]) == ("c", " =\n\u00e4 ", "/before")
    assert "GOES" not in environ
    assert environ["RELEASE_ID"] == "2"


def test_worker_lives_in_its_release_alone(host: Host) -> None:
    """Code, dependencies, working directory and interpreter, after any number of reloads back and forth."""
    host.start()
    for release in ("2", "1", "2"):
        assert host.deploy(release).returncode == 0
    answer = host.get()
    directory = host.directory / "releases" / "2"
    assert answer["cwd"] == str(directory / "source" / "project")
    assert answer["prefix"] == str(directory / ".venv")
    assert answer["path"][0] == str(directory / "source" / "project")
    entries = [entry for entry in answer["path"] if entry.startswith(str(host.directory))]
    assert {Path(*Path(entry).parts[:5]) for entry in entries} == {directory}
    assert len(entries) == 2  # the project, the dependencies


def test_package_of_the_master_in_another_version_is_refused(host: Host) -> None:
    """The master has imported it already: workers would run a mixture of both."""
    site_packages = next((host.directory / "releases" / "2" / ".venv" / "lib").glob("*/site-packages"))
    (site_packages / "uvicorn-0.1.dist-info").mkdir()
    host.start()
    refused = host.deploy("2")
    assert refused.returncode == 1
    assert "release 2 brings uvicorn 0.1" in refused.stderr
    assert "farrier-release --app example restart" in refused.stderr
    assert codes(host) == {"1"}


def test_releases_can_be_pruned_under_the_master(host: Host) -> None:
    """Also the one that it was started in, once another one serves."""
    host.add_release("3")
    host.start()
    for release, pruned in (("2", "1"), ("3", "2")):
        assert host.deploy(release).returncode == 0
        shutil.rmtree(host.directory / "releases" / pruned)
    host.add_release("1")
    assert host.deploy("1").returncode == 0
    assert codes(host) == {"1"}


def test_master_does_not_grow_with_reloads(host: Host) -> None:
    """It lives for months."""
    host.start()
    sizes = []
    for number in range(20):
        assert host.deploy("12"[number % 2]).returncode == 0
        sizes.append(resident_kilobytes(host.master.pid))
    assert sizes[-1] < 1.05 * sizes[3]


def resident_kilobytes(pid: int) -> int:
    """Memory that the process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
