"""Every web app of the scenario `wild` is asked all the time while it is deployed again and again.

Usage: python -m tests.benchmarks.wild [DEPLOYS]. Takes the host of the scenario and removes it. Bar: no
request fails.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections import Counter
from typing import Any

import yaml

from tests.benchmarks.remote import ROOT
from tests.harness.deploys import run
from tests.harness.meanwhile import repeated
from tests.harness.outside import Outside

SCENARIO = ROOT / "molecule/wild"
INVENTORY = SCENARIO / "inventory"
DEPLOYS = 10
ASK_EVERY_SECONDS = 0.02


def asked(app: dict[str, Any], address: str, deploys: int) -> list[int | str]:
    """Deploy an app again and again, and return what came of each request meanwhile."""

    def ask() -> int | str:
        try:
            path = app.get("path", "") + app.get("health_path", "/healthz")
            return Outside(address).https(app["domains"][0], path).status
        except (OSError, http.client.HTTPException) as error:
            return repr(error)

    with repeated(ask, every_seconds=ASK_EVERY_SECONDS) as answers:
        for number in range(deploys):
            ended = run(INVENTORY, "deploy", app=app["name"], version=("second", "first")[number % 2])
            if ended.failed:
                raise SystemExit(ended.output)
    return answers


def main() -> int:
    """Print a line for each app; exit 1 if a request failed."""
    deploys = int(sys.argv[1]) if len(sys.argv) > 1 else DEPLOYS
    known = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())["apps"]
    apps = [app for app in known if app.get("domains")]
    hosts = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]["lab"]["hosts"]
    outcomes: Counter[int | str] = Counter()
    try:
        for step in ("create", "prepare", "converge"):
            subprocess.run(["molecule", step, "-s", "wild"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for app in apps:
            found = Counter(asked(app, hosts["wild"]["ansible_host"], deploys))
            outcomes += found
            print(f"{app['name']}: {dict(found)}", flush=True)
    finally:
        subprocess.run(["molecule", "destroy", "-s", "wild"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    failed = outcomes.total() - outcomes[200]
    print(f"{failed} of {outcomes.total()} requests failed in {deploys} deploys of each of {len(apps)} apps")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
