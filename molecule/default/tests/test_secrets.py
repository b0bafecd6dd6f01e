"""What a run says, in every form and at length: none of the inventory's secrets is in it."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.harness.repository import Repository

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = Path(__file__).resolve().parents[1]
CANARY = "c4n4ry"
# One is enough: what is said of a host does not depend on which one it is.
HOST = "debian13"
RUN_SECONDS = 300.0
# The exit status of a run says that it came as far as it was meant to.
FAILED = 2


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory with the canaries: a repository that is served, keys, and `values.yml`."""
    directory = tmp_path_factory.mktemp("canaries")
    repository = Repository(ROOT / "app", directory / "repository")
    repository.change(lambda path: (path / "VERSION").write_text("canary\n"))
    subprocess.run(["git", "update-server-info"], cwd=repository.path, check=True)
    groups = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text())["all"]["children"]
    for host, settings in groups["edge"]["hosts"].items():
        domain = settings["lab_edge_domains"][1]
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ),
                *("-subj", f"/CN={domain}", "-addext", f"subjectAltName=DNS:{domain}"),
                *("-keyout", f"{host}.key", "-out", f"{host}.pem"),
            ],
            cwd=directory,
            check=True,
            capture_output=True,
        )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        values = {"canary": CANARY, "canary_directory": str(directory), "canary_port": server.server_port}
        (directory / "values.yml").write_text(yaml.safe_dump({"all": {"vars": values}}))
        yield directory
        server.shutdown()


def secrets(canaries: Path) -> list[str]:
    """Return what must not be seen: the mark of every secret, and a line of every key."""
    return [CANARY, *(key.read_text().splitlines()[1] for key in canaries.glob("*.key"))]


def said(playbook: str, callback: str, canaries: Path, limit: str, *options: str) -> tuple[int, str]:
    """Run a playbook against the inventory of canaries; return its exit status and all that it says.

    Args:
        playbook: Path of it, from the project's directory.
        callback: Which writes the output.
        canaries: What `canaries` returns.
        limit: Pattern of the hosts.
        options: Of ansible-playbook.
    """
    sources = (SCENARIO / "inventory", SCENARIO / "canaries", canaries / "values.yml")
    inventories = [f"--inventory={source}" for source in sources]
    done = subprocess.run(
        ["ansible-playbook", *inventories, f"--limit={limit}", *options, playbook],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": callback},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=RUN_SECONDS,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("playbook", "variables", "status"),
    [
        ("site.yml", {}, 0),
        ("playbooks/deploy.yml", {"app": "observatory"}, 0),
        ("playbooks/deploy.yml", {"app": "observatory", "version": "no-such-version"}, FAILED),
        ("playbooks/rollback.yml", {"app": "observatory", "release": "no-such-release"}, FAILED),
        ("playbooks/status.yml", {}, 0),
        ("playbooks/drain.yml", {"host": HOST, "drain": "on"}, FAILED),
        ("playbooks/maintenance_mode.yml", {"app": "observatory", "maintenance": "on"}, 0),
        ("playbooks/upgrade.yml", {"reboot": "never"}, 0),
        ("playbooks/unlock.yml", {"app": "observatory"}, 0),
    ],
)
def test_no_result_holds_a_secret(
    canaries: Path, playbook: str, variables: dict[str, str], status: int
) -> None:
    """AWX and ARA keep every result whole, as this callback does; -vvv adds what is sent to the hosts."""
    options = [f"--extra-vars={name}={value}" for name, value in variables.items()]
    check_that_nothing_is_said(canaries, playbook, "ansible.posix.json", status, *options, limit=HOST)


def test_no_secret_is_on_the_screen(canaries: Path) -> None:
    """Logs of a terminal or a pipeline are kept, sent around and shown to many.

    On both releases of Debian, since this is also the run that foresees changes of hosts that are there.
    """
    output = check_that_nothing_is_said(canaries, "site.yml", "farrier.kit.farrier", 0)
    assert "the output has been hidden" in output, "the secrets were not even to be brought to the hosts"


def check_that_nothing_is_said(
    canaries: Path, playbook: str, callback: str, status: int, *options: str, limit: str = "all"
) -> str:
    """Foresee what a playbook would do, with differences and at length; return what it says."""
    returncode, output = said(playbook, callback, canaries, limit, "--check", "--diff", "-vvv", *options)
    assert returncode == status, output[-4000:]
    lines = [line[:300] for line in output.splitlines() if any(text in line for text in secrets(canaries))]
    assert not lines, "\n".join(lines[:20])
    return output
