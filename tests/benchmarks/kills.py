"""Kill or break something in the middle of deploys, again and again: the next deploy has to go through.

Usage: python -m tests.benchmarks.kills [COUNT]. Takes the host of the scenario bad_release, under load. Bar:
each next deploy goes live, and no request fails but those in flight in a process that was killed, whose
number is printed.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import testinfra
from testinfra.host import Host

from tests.benchmarks.remote import ROOT
from tests.harness.deploys import AppHost, Playbook, run
from tests.harness.load import Load

SCENARIO = "bad_release"
DOMAIN = "bad.lab.test"
HOST = "bad"
APP = "observatory"
INVENTORY = ROOT / "molecule" / SCENARIO / "inventory"
VERSIONS = ("good-1", "good-2")
TRANSACTION = f"farrier-{APP}-transaction.service"
MASTER = f"systemctl show --property=MainPID --value {APP}.service"
# These end a process that has requests in its hands.
LOSING = ("master", "worker")

Deed = Callable[[Host, Playbook], AbstractContextManager[None]]


def at_once(act: Callable[[Host, Playbook], object]) -> Deed:
    """Something that needs no tidying up."""

    @contextmanager
    def deed(host: Host, deploy: Playbook) -> Iterator[None]:
        act(host, deploy)
        yield

    return deed


@contextmanager
def full_log(host: Host, _: Playbook) -> Iterator[None]:
    """The log of deploys is on a disk without room."""
    directory = f"/var/log/farrier/{APP}"
    host.check_output(f"mount -t tmpfs -o size=4k,mode=750 tmpfs {directory}")
    host.run(f"head -c 8192 /dev/zero > {directory}/ballast")
    try:
        yield
    finally:
        host.check_output(f"umount --lazy {directory}")


@contextmanager
def full_disk(host: Host, _: Playbook) -> Iterator[None]:
    """The disk of the releases is full."""
    ballast = f"/srv/{APP}/ballast"
    free = f"$(df --output=avail --block-size=1 /srv/{APP} | tail -n 1)"
    host.run(f"fallocate --length $(({free} - 65536)) {ballast}")
    try:
        yield
    finally:
        host.check_output(f"rm -f {ballast}")


DEEDS: dict[str, Deed] = {
    "controller": at_once(lambda _, deploy: deploy.kill()),
    "transaction": at_once(lambda host, _: host.run(f"systemctl kill --signal=KILL {TRANSACTION}")),
    "daemon-reexec": at_once(lambda host, _: host.check_output("systemctl daemon-reexec")),
    "full disk": full_disk,
    "full log": full_log,
    "master": at_once(
        lambda host, _: host.run(f"systemctl kill --signal=KILL --kill-whom=main {APP}.service")
    ),
    "worker": at_once(
        lambda host, _: host.run(
            f"kill -KILL $(pgrep --parent $(systemctl show -P MainPID {APP}) | shuf -n 1)"
        )
    ),
}


def rounds(site: AppHost, load: Load, count: int) -> int:
    """Do `count` deeds and print what came of them; returns how many did not end well."""
    deploy_seconds, bad = 8.0, 0
    lost: collections.Counter[str] = collections.Counter()
    done: collections.Counter[str] = collections.Counter()
    for number in range(count):
        name = list(DEEDS)[number % len(DEEDS)]
        before, failed = site.look(), load.status()["failed"]
        version, after_it = VERSIONS if before.live.endswith(VERSIONS[1]) else VERSIONS[::-1]
        with contextlib.ExitStack() as stack:
            deploy = stack.enter_context(Playbook(INVENTORY, "deploy", {"app": APP, "version": version}))
            wait_seconds = random.uniform(0, deploy_seconds)
            time.sleep(wait_seconds)
            stack.enter_context(DEEDS[name](site.host, deploy))
            if deploy.runs:
                deploy.end()
        following = run(INVENTORY, "deploy", app=APP, version=after_it)
        state = site.look()
        # One that finds nothing to do takes no time.
        deploy_seconds = max(following.seconds, 0.9 * deploy_seconds)
        new = load.status()["failed"] - failed
        done[name] += 1
        lost[name] += new
        is_good = not following.failed and state.problem == "" and state.live.endswith(f"Z-{after_it}")
        bad += not is_good or (new > 0 and name not in LOSING)
        print(
            f"{number + 1}: {name} after {wait_seconds:.1f} s: the next deploy "
            f"{'went live' if is_good else 'FAILED'} in {following.seconds:.1f} s, {new} requests failed",
            flush=True,
        )
        if not is_good:
            print(following.output, state.problem, flush=True)
    for name, times in done.items():
        print(f"{name}: {times} times, {lost[name]} requests failed")
    print(f"{bad} of {count} did not end well; {load.status()['requests']} requests")
    return bad


def main() -> int:
    """Exit 1 if a deploy did not go through, or a request failed that had no need to."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    try:
        subprocess.run(["molecule", "converge", "-s", SCENARIO], cwd=ROOT, check=True)
        host = testinfra.get_host(
            f"ssh://{HOST}", ssh_config=os.fspath(ROOT / "build/lab/ssh_config"), sudo=True
        )
        address = host.check_output(f"getent ahostsv4 {DOMAIN} | head -n 1 | cut -d' ' -f 1")
        with Load(
            f"https://{DOMAIN}",
            ca=ROOT / "build/lab/bad-ca/ca.pem",
            resolve={DOMAIN: address},
            name="kills",
            connections=16,
            websockets=2,
            rate=100,
            seconds=60 * count,
        ) as load:
            load.wait_for_requests(100)
            return 1 if rounds(AppHost(host, HOST, APP), load, count) else 0
    finally:
        subprocess.run(["molecule", "destroy", "-s", SCENARIO], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
