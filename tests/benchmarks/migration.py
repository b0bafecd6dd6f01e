"""A deploy whose migration says nothing, and whose SSH connection the network forgets in the middle of it.

Usage: python -m tests.benchmarks.migration [MINUTES]. Takes a host of its own and removes it. Bar: the deploy
ends well, and the operator sees it.
"""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
import time

from tests.benchmarks.remote import ROOT, Remote, play
from tests.harness.connections import forgotten, local_ports
from tests.harness.deploys import Playbook
from tests.harness.repository import make_two_versions

INVENTORY = ROOT / "tests/benchmarks/migration_inventory"
HOST, ADDRESS, APP = "migration", "10.77.77.143", "slow"
MINUTES = 20.0
POLL_SECONDS = 1.0


def main() -> int:
    """Print what the operator saw; exit 1 if the deploy did not end well."""
    seconds = 60 * (float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
    make_two_versions(ROOT / "molecule/wild/applications/plain", ROOT / "build/migration" / APP)
    remote = Remote(HOST)
    try:
        play(INVENTORY, "lab/up.yml")
        play(INVENTORY, "site.yml")
        remote.write(f"/var/lib/farrier/{APP}/seconds", f"{seconds:.0f}")
        others = local_ports(ADDRESS)
        with tempfile.TemporaryDirectory() as sockets:
            variables = {"app": APP, "version": "second", "ansible_control_path_dir": sockets}
            with Playbook(INVENTORY, "deploy", variables) as deploy:
                time.sleep(seconds / 2)
                with forgotten(ADDRESS, local_ports(ADDRESS) - others):
                    while deploy.runs:
                        time.sleep(POLL_SECONDS)
                    ended = deploy.end()
        live = remote.run("readlink", f"/srv/{APP}/current").strip()
    finally:
        play(INVENTORY, "lab/down.yml")
    told = [int(at) for at in re.findall(rf"^  {HOST} +(\d+) s  ", ended.output, re.MULTILINE)]
    silent = max((after - before for before, after in itertools.pairwise(told)), default=0)
    is_good = not ended.failed and live.endswith("Z-second")
    print(
        f"a migration of {seconds:.0f} s, its connection forgotten after {seconds / 2:.0f} s: the deploy"
        f" {'went live' if is_good else 'FAILED'} after {ended.seconds:.0f} s; {len(told)} lines of progress,"
        f" at most {silent} s apart"
    )
    if not is_good:
        print(ended.output)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
