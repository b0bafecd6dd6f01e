"""`make develop`: a file is saved, and the page in the browser changes; afterwards nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny import DOMAIN, OWNER, PAGE, START_SECONDS, STOP_SECONDS

from lab import develop
from tests.harness.browser import browser
from tests.harness.outside import Outside

SEEN_SECONDS = 3.0
SAVES = 5
ADDRESS = "10.77.77.130"


def snapshot(tree: Path) -> dict[str, int]:
    """Return the owner of each file by its path."""
    return {str(path.relative_to(tree)): path.lstat().st_uid for path in sorted(tree.rglob("*"))}


def test_a_saved_file_is_seen_in_the_browser(
    started: subprocess.Popen[bytes], tree: Path, tmp_path: Path
) -> None:
    """The page is open; after each save it is loaded anew until it has changed."""
    taken = []
    with browser(tmp_path / "profile", develop.DIRECTORY / "mkcert/tiny/fullchain.pem") as page:
        for save in range(SAVES + 1):
            began = time.monotonic()
            (tree / "main.py").write_text(PAGE.replace("save 0", f"save {save}"))
            while page.text("h1") != f"save {save}":
                assert time.monotonic() - began < START_SECONDS
                page.open(f"https://{DOMAIN}/")
                time.sleep(0.05)
            taken.append(time.monotonic() - began)
            time.sleep(0.5)
    print("seconds from a save to the page:", *(f"{seconds:.1f}" for seconds in taken[1:]))
    # The first is the start of the app; of the others, what the machine did besides is not counted.
    assert min(taken[1:]) < SEEN_SECONDS


def test_the_app_is_told_what_it_is_told_in_production(
    started: subprocess.Popen[bytes], tree: Path, authority: Path
) -> None:
    """By nginx, in whose certificate browsers trust; what the app writes belongs to whom the tree belongs."""
    outside = Outside(ADDRESS, authority / "rootCA.pem")
    told = json.loads(outside.https(DOMAIN, "/client", headers={"X-Forwarded-For": "192.0.2.1"}).body)
    assert told["client"] == told["x-forwarded-for"] != "192.0.2.1"
    assert told["url"] == f"https://{DOMAIN}/client"
    assert len(told["x-request-id"]) == 32
    assert outside.http(DOMAIN).status == 301
    names = ("main.py", "requirements.txt", "written-by-the-app")
    assert snapshot(tree) == dict.fromkeys(names, OWNER)


def test_a_second_one_is_refused(started: subprocess.Popen[bytes], tree: Path) -> None:
    """With the word that ends the first, which goes on."""
    command = [sys.executable, "-m", "lab.develop", str(tree)]
    done = subprocess.run(command, cwd=develop.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "`make develop-stop` ends it and cleans up. Nothing was changed." in done.stderr
    assert started.poll() is None


def test_ctrl_c_leaves_nothing_behind(started: subprocess.Popen[bytes], tree: Path) -> None:
    """No host, no certificate, no name; and in the tree no more than the app itself has written."""
    os.killpg(started.pid, signal.SIGINT)
    assert started.wait(STOP_SECONDS) == 0
    exists = subprocess.run([develop.LAB / "podman", "container", "exists", develop.HOST], check=False)
    assert exists.returncode == 1
    assert not develop.DIRECTORY.exists()
    assert "develop" not in develop.HOSTS_FILE.read_text()
    assert str(tree) not in Path("/proc/self/mountinfo").read_text()
    assert set(snapshot(tree)) == {"main.py", "requirements.txt", "written-by-the-app"}
