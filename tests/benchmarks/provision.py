"""Time the first run of site.yml on a fresh host against a plain shell script with the same packages.

Usage: python tests/benchmarks/provision.py [ROUNDS]. Both are done in turn, each time on hosts made anew, and
printed with their ratio. The bar is a ratio of 1.4.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "tests/benchmarks/inventory"
SSH = ["ssh", "-F", str(ROOT / "build/lab/ssh_config")]
BAR = 1.4


def playbook(*arguments: str) -> float:
    """Run a playbook against the benchmark's inventory and return the seconds it took."""
    started = time.monotonic()
    subprocess.run(
        ["ansible-playbook", "--inventory", str(INVENTORY), *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - started


def script(host: str) -> float:
    """Run the shell script on a host as root and return the seconds it took."""
    started = time.monotonic()
    for source, target in (
        ("tests/benchmarks/provision.sh", "provision.sh"),
        ("app/requirements.txt", "requirements.txt"),
    ):
        with (ROOT / source).open("rb") as content:
            subprocess.run([*SSH, host, f"cat > /tmp/{target}"], check=True, stdin=content)
    subprocess.run(
        [*SSH, host, "sudo sh /tmp/provision.sh /tmp/requirements.txt"], check=True, stdout=subprocess.DEVNULL
    )
    return time.monotonic() - started


def main() -> int:
    """Print one line a round and the median ratio; exit 1 when it is over the bar."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ratios = []
    try:
        for number in range(1, rounds + 1):
            playbook("lab/down.yml")
            playbook("lab/up.yml")
            plain_seconds = script("bench-script")
            kit_seconds = playbook("site.yml")
            ratios.append(kit_seconds / plain_seconds)
            print(
                f"round {number}: shell script {plain_seconds:.1f} s, site.yml {kit_seconds:.1f} s, "
                f"ratio {ratios[-1]:.2f}",
                flush=True,
            )
    finally:
        playbook("lab/down.yml")
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.2f} (at most {BAR})")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
