"""The kit is used from a clone, and as a collection that is installed into somebody else's repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.playbooks import ROOT

NAMES = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
# What a repository has that has never heard of the kit.
FOREIGN_CFG = "[defaults]\ncollections_path = collections\ninventory = inventory\n"
INVENTORY = """
all:
  vars:
    certbot_agree_tos: true
    apps:
      - name: shop
        domains: [shop.example.org]
        source: {{path: "{{{{ inventory_dir }}}}"}}
        module: shop.main:app
        {mistake}
edge: {{hosts: {{web1: {{ansible_host: 192.0.2.1}}}}}}
app: {{hosts: {{web1: }}}}
"""
BLOCKER = """
import sys

class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "pydantic":
            raise ModuleNotFoundError("No module named 'pydantic'", name=name)

sys.meta_path.insert(0, Blocker)
"""

Run = subprocess.CompletedProcess[str]


def ansible(program: str, *arguments: str | Path, config: Path, cwd: Path, **environment: str) -> Run:
    """Run a program of Ansible with an ansible.cfg, and no other settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "FARRIER_"))}
    return subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        cwd=cwd,
        env={**clean, "ANSIBLE_CONFIG": str(config), "ANSIBLE_NOCOLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def tracked() -> set[str]:
    """Return the files of the repository, those to be added included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.splitlines())


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the collection as `ansible-galaxy` builds it."""
    directory = tmp_path_factory.mktemp("built")
    command = ("collection", "build", "--output-path", directory, ROOT)
    run = ansible("ansible-galaxy", *command, config=ROOT / "ansible.cfg", cwd=directory)
    assert run.returncode == 0, run.stdout + run.stderr
    (built,) = directory.glob("farrier-kit-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def repository(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return somebody's repository, into which the collection has been installed; no Galaxy is asked."""
    directory = tmp_path_factory.mktemp("theirs")
    (directory / "ansible.cfg").write_text(FOREIGN_CFG)
    write_inventory(directory)
    command = ("collection", "install", tarball, "--collections-path", "collections", "--offline")
    run = ansible("ansible-galaxy", *command, config=directory / "ansible.cfg", cwd=directory)
    assert run.returncode == 0, run.stdout + run.stderr
    return directory


def write_inventory(repository: Path, mistake: str = "") -> None:
    """Write an inventory that keeps the contract but for one line."""
    (repository / "inventory").mkdir(exist_ok=True)
    (repository / "inventory/hosts.yml").write_text(INVENTORY.format(mistake=mistake))


def play(repository: Path, name: str, *arguments: str, cwd: Path, **environment: str) -> Run:
    """Run a playbook of the installed collection from some other directory."""
    config = repository / "ansible.cfg"
    return ansible(
        "ansible-playbook", f"farrier.kit.{name}", *arguments, config=config, cwd=cwd, **environment
    )


def test_the_tarball_holds_what_users_need_and_nothing_else(tarball: Path) -> None:
    """What somebody has lying about in a clone would be published with it."""
    with tarfile.open(tarball) as archive:
        files = {member.name for member in archive if member.isfile()} - {"MANIFEST.json", "FILES.json"}
    places = ("playbooks/", "roles/", "plugins/", "meta/", "docs/", "inventories/example/")
    top = {"README.md", "LICENSE", "CHANGELOG.md", "requirements.yml"}
    assert files == {name for name in tracked() if name.startswith(places)} | top


@pytest.mark.parametrize("name", NAMES)
def test_a_playbook_works_by_its_name_and_by_its_path_in_a_clone(name: str) -> None:
    """All names in it resolve: roles, modules, other playbooks."""
    command = (f"farrier.kit.{name}", f"playbooks/{name}.yml", "--list-tasks")
    run = ansible("ansible-playbook", *command, config=ROOT / "ansible.cfg", cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    _, by_name, by_path = run.stdout.split("playbook: ")
    assert "TAGS: " in by_name
    assert "TAGS: " in by_path


LAB = ("up", "down", "demo", "develop", "develop_stop")


@pytest.mark.parametrize("name", ["site", *(f"lab/{name}" for name in LAB)])
def test_other_playbooks_of_a_clone_find_the_kit(name: str) -> None:
    """As README says."""
    command = (f"{name}.yml", "--list-tasks")
    run = ansible("ansible-playbook", *command, config=ROOT / "ansible.cfg", cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("place", ["clone", "installed"])
def test_modules_have_documentation(request: pytest.FixtureRequest, tmp_path: Path, place: str) -> None:
    """By the name under which they are called."""
    config = (ROOT if place == "clone" else request.getfixturevalue("repository")) / "ansible.cfg"
    names = [f"farrier.kit.{name}" for name in MODULES]
    run = ansible("ansible-doc", "-t", "module", *names, config=config, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("> MODULE farrier.kit.") == len(names)


@pytest.mark.parametrize("name", NAMES)
def test_a_playbook_works_where_the_collection_is_installed(
    repository: Path, tmp_path: Path, name: str
) -> None:
    """In a repository with settings of its own, from any directory."""
    write_inventory(repository)
    for option in ("--syntax-check", "--list-tasks"):
        run = play(repository, name, option, cwd=tmp_path)
        assert run.returncode == 0, run.stdout + run.stderr
        assert str(repository / "collections") in run.stdout


def test_the_inventory_is_checked_where_the_collection_is_installed(repository: Path, tmp_path: Path) -> None:
    """For real: the first play needs no host. A path of the inventory does not depend on the playbook's."""
    write_inventory(repository)
    run = play(repository, "preflight", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    write_inventory(repository, "worker_klass: stock")
    run = play(repository, "site", cwd=tmp_path)
    assert run.returncode != 0
    assert "app shop, key worker_klass" in run.stdout
    assert "no host was touched" in run.stdout


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"sitecustomize.py": BLOCKER}, "it is not installed"),
        ({"pydantic-1.10.2.dist-info/METADATA": "Name: pydantic\nVersion: 1.10.2\n"}, "it is 1.10.2"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    repository: Path, tmp_path: Path, files: Mapping[str, str], state: str
) -> None:
    """A traceback would send the operator to the kit's source."""
    write_inventory(repository)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    run = play(repository, "site", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    said = run.stdout + run.stderr
    assert run.returncode != 0, said
    assert f"needs the Python package pydantic, 2.11 or later, where Ansible runs, and {state}." in said
    assert f"Install it: {sys.executable} -m pip install 'pydantic>=2.11'" in said
    assert "Traceback" not in said
