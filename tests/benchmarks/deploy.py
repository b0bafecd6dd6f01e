"""Wall time of code-only deploys, of a deploy of nothing new and of a rollback, on the demo's host.

Usage: python -m tests.benchmarks.deploy [ROUNDS]. Each round changes one line of the app. Each measure begins
on a host that has done with the one before: its watch has ended, and so have the workers that stood by. The
same change is deployed by a plain shell script in turn (deploy.sh), beside the app on the same host.
Bars: a deploy takes at most 1.6 times what the script takes. In seconds, on a quiet machine: deploy 5, of
which activation 2; nothing new 3; rollback 4.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.benchmarks.remote import ROOT

HOST = "web1"
SSH = ["ssh", "-F", str(ROOT / "build/lab/ssh_config"), HOST]
BARS_SECONDS = {
    "deploy": 5.0,
    "activation": 2.0,
    "nothing new": 3.0,
    "rollback": 4.0,
}
RATIO_BAR = 1.6


def settled() -> None:
    """Wait until the host has done with the last release."""
    busy = "systemctl --quiet is-active farrier-observatory-transaction.service"
    subprocess.run([*SSH, f"while {busy}; do sleep 0.5; done"], check=True, timeout=120)


def playbook(name: str, apps: Path) -> float:
    """Run a playbook as an operator does and return the seconds it took."""
    settled()
    started = time.monotonic()
    subprocess.run(
        ["ansible-playbook", f"playbooks/{name}.yml", "--extra-vars", f"@{apps}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - started


def script(order: str, source: Path) -> float:
    """Run deploy.sh and return the seconds it took."""
    started = time.monotonic()
    subprocess.run([ROOT / "tests/benchmarks/deploy.sh", order, source, HOST, *SSH[:-1]], check=True)
    return time.monotonic() - started


def activation_seconds() -> float:
    """Return what the host's log says of the last activation."""
    last = subprocess.run(
        [*SSH, "sudo tail -n 1 /var/log/farrier/observatory/deploys.jsonl"],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(last.stdout)["seconds"]["activate"])


def main() -> int:
    """Print median and extremes of each measure; exit 1 when a median is over its bar."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    measured: dict[str, list[float]] = {name: [] for name in BARS_SECONDS}
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "app")
        shutil.copytree(
            ROOT / "app", source, ignore=shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        )
        lab = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/apps.yml").read_text())
        lab["apps"][0]["source"] = {"path": str(source)}
        apps = Path(directory, "apps.json")
        apps.write_text(json.dumps(lab))
        script("setup", source)
        for number in range(rounds + 1):
            with (source / "src/observatory/main.py").open("a") as code:
                code.write(f"# {time.time()}\n")
            plain_seconds = script("deploy", source)
            seconds = playbook("deploy", apps)
            if number == 0:
                continue  # fills uv's caches
            ratios.append(seconds / plain_seconds)
            print(f"round {number}: script {plain_seconds:.2f} s, deploy {seconds:.2f} s", flush=True)
            measured["deploy"].append(seconds)
            measured["activation"].append(activation_seconds())
            measured["nothing new"].append(playbook("deploy", apps))
            measured["rollback"].append(playbook("rollback", apps))
    for name, values in measured.items():
        print(
            f"{name:12} median {statistics.median(values):.2f} s, "
            f"{min(values):.2f} to {max(values):.2f} s (at most {BARS_SECONDS[name]:g} s)"
        )
    ratio = statistics.median(ratios)
    print(f"deploy against the script: median ratio {ratio:.2f} (at most {RATIO_BAR})")
    return int(ratio > RATIO_BAR)


if __name__ == "__main__":
    sys.exit(main())
