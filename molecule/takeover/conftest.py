"""The takeover that the tests of this scenario ask about: it happens once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

# What they assert is to be told in full, as in a test.
pytest.register_assert_rewrite("tests.harness.deploys", "sight")

from sight import APP, Sight, Takeover, changed_tasks, restarted, see  # noqa: E402 - the same

from tests.harness.connections import reached  # noqa: E402 - not before the line above
from tests.harness.deploys import AppHost, Run, run  # noqa: E402 - the same
from tests.harness.load import Load  # noqa: E402 - the same
from tests.harness.outside import authority  # noqa: E402 - the same

SCENARIO = Path(__file__).parent
INVENTORY = SCENARIO / "inventory"
REQUESTS_PER_SECOND = 50


@pytest.fixture(scope="session")
def apps() -> dict[str, AppHost]:
    """The app on each of its hosts."""
    groups = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]
    return {name: AppHost(reached(name), name, APP) for name in groups["app"]["hosts"]}


@contextmanager
def load_on_each() -> Iterator[dict[str, Load]]:
    """Requests of every kind to each site, few enough to leave the machine room for the runs."""
    groups = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                Load(
                    f"https://{domain}",
                    ca=authority(SCENARIO),
                    resolve={domain: groups["lab"]["hosts"][name]["ansible_host"]},
                    name=f"takeover_{name}",
                    connections=8,
                    websockets=1,
                    events=1,
                    downloads=1,
                    rate=REQUESTS_PER_SECOND,
                    seconds=1800,
                )
            )
            for name, edge in groups["edge"]["hosts"].items()
            for domain in edge["lab_edge_domains"]
        }


@pytest.fixture(scope="session")
def takeover(apps: dict[str, AppHost]) -> Takeover:
    """All that is done to the hosts, in one go; each test asks one thing about it."""
    runs: dict[str, Run] = {}

    with load_on_each() as loads:

        def play(label: str, playbook: str, **variables: Any) -> dict[str, Sight]:
            for load in loads.values():
                load.mark(label)
            runs[label] = run(INVENTORY, playbook, **variables)
            assert not runs[label].failed, runs[label].output
            for load in loads.values():
                load.wait_for_requests(REQUESTS_PER_SECOND)
            print(f"{label:12} {runs[label].seconds:6.1f} s", flush=True)
            return {name: see(app) for name, app in apps.items()}

        for load in loads.values():
            load.wait_for_requests(2 * REQUESTS_PER_SECOND)
        installed = {name: see(app) for name, app in apps.items()}
        taken = play("site", "site")
        deployed = play("deploy", "deploy", app=APP)
        back = play("rollback", "rollback", app=APP)
        again = play("second site", "site")
        reports = {name: load.stop() for name, load in loads.items()}

    for name, report in reports.items():
        units = ", ".join(sorted(restarted(installed[name], taken[name]))) or "nothing"
        print(
            f"{name}: restarted {units}; changed: {'; '.join(changed_tasks(runs['site'], name)) or 'nothing'}"
        )
        print(report)
    return Takeover(installed, taken, deployed, back, again, runs, reports)
