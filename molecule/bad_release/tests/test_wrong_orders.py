"""Orders that cannot be carried out stop before anything live is touched, with the cause and the way out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app_under_load import AppUnderLoad
from versions import GOOD, SLOW_BUILD

from inventories import inventory_with
from tests.harness import deploys
from tests.harness.deploys import ROOT, Run, State

GROUP = "app"
REPOSITORY = ROOT / "build/bad_release/observatory"


@contextmanager
def nothing_happens(app_under_load: AppUnderLoad, label: str, *, attempts: int = 0) -> Iterator[State]:
    """What is live is the same afterwards, and no request has failed; `attempts` are on record."""
    before = app_under_load.begin(label)
    yield before
    after = app_under_load.site.wait_until_quiet()
    app_under_load.check_live_is_untouched(before, after)
    app_under_load.check_no_request_failed()
    assert len(after.attempts) == len(before.attempts) + attempts


def check_refused(done: Run, *texts: str) -> None:
    """The run failed, and said all of this."""
    assert done.failed, done.output
    for text in texts:
        assert text in done.output, done.output


def test_unknown_app(app_under_load: AppUnderLoad) -> None:
    """A slip of the pen is answered by the names that there are."""
    with nothing_happens(app_under_load, "unknown app"):
        done = deploys.run(app_under_load.inventory, "deploy", app="observatorium")
        check_refused(done, "There is no app observatorium.", "The inventory has: observatory")


def test_unknown_version(app_under_load: AppUnderLoad) -> None:
    """A reference that git does not have is answered by some that it has."""
    with nothing_happens(app_under_load, "unknown version"):
        done = app_under_load.run(version="v9.9.9")
        check_refused(done, "has no version 'v9.9.9'.", "Newest branches and tags: ")


def test_archive_that_is_not_what_was_ordered(app_under_load: AppUnderLoad, tmp_path: Path) -> None:
    """What somebody has changed on its way is not even unpacked."""
    archive = tmp_path / "observatory.tar.gz"
    subprocess.run(["git", "archive", f"--output={archive}", GOOD[0]], cwd=REPOSITORY, check=True)
    checksum = "0123456789abcdef" * 4
    source = {"archive": str(archive), "checksum": f"sha256:{checksum}"}
    inventory = inventory_with(app_under_load, tmp_path, source=source)
    with nothing_happens(app_under_load, "wrong checksum"):
        done = deploys.run(inventory, "deploy", app="observatory")
        check_refused(
            done, f"{archive} does not match its checksum", f"sha256:{checksum}", "correct source.checksum"
        )


def test_source_without_lock_file(app_under_load: AppUnderLoad) -> None:
    """What is deployed today has to be the same tomorrow."""
    with nothing_happens(app_under_load, "no lock file"):
        check_refused(app_under_load.run(version="no-lock"), "has no lock file", "Make one with `uv lock`")


def test_python_that_nobody_has(app_under_load: AppUnderLoad) -> None:
    """A host without a Python for the app says which one is wanted, which there is, and what to set."""
    with nothing_happens(app_under_load, "Python too new", attempts=1):
        check_refused(
            app_under_load.run(version="python-too-new"),
            "observatory: build failed.",
            "wants Python >=3.99; this host has Python 3.",
            "Next: set `python` of the application",
        )


def test_rollback_to_what_never_was(app_under_load: AppUnderLoad) -> None:
    """A mistyped id is answered by those that there are."""
    with nothing_happens(app_under_load, "rollback to nothing") as before:
        done = app_under_load.run("rollback", release="20200101T000000Z-never")
        good = [release["id"] for release in before.status["releases"] if not release["live"]]
        check_refused(
            done,
            "There is no release 20200101T000000Z-never: it was pruned or never existed.",
            *good,
            "Next: ",
        )


def test_rollback_to_what_was_pruned(app_under_load: AppUnderLoad) -> None:
    """A release that was good once, and is gone."""
    while not (gone := pruned(app_under_load.site.look())):
        app_under_load.check_a_good_release_goes_live()
    with nothing_happens(app_under_load, "rollback to a pruned release"):
        done = app_under_load.run("rollback", release=gone[0])
        check_refused(done, f"There is no release {gone[0]}: it was pruned or never existed.", "Next: ")


def test_full_disk(app_under_load: AppUnderLoad) -> None:
    """Room is looked for before a build begins, not found missing in the middle of it."""
    host = app_under_load.site.host
    free_mb = int(
        host.check_output("df --output=avail --block-size=M /srv/observatory | tail -n 1").strip(" M")
    )
    host.check_output(f"fallocate --length {free_mb - 3}M /srv/observatory/ballast")
    try:
        with nothing_happens(app_under_load, "full disk"):
            done = app_under_load.run(version=app_under_load.good_version())
            check_refused(
                done,
                "observatory: deploy failed. The disk of /srv/observatory/releases is full: ",
                "Next: du -sh /srv/observatory/*",
            )
    finally:
        host.check_output("rm /srv/observatory/ballast")
    app_under_load.check_a_good_release_goes_live()


def test_second_deploy_is_refused(app_under_load: AppUnderLoad) -> None:
    """Two people deploy at once: the second one is told who is first, and the first one is not disturbed."""
    before = app_under_load.begin("two deploys at once")
    with app_under_load.start(SLOW_BUILD) as first:
        source = f"/srv/observatory/releases/*-{SLOW_BUILD}/source/VERSION"
        assert app_under_load.site.wait_for_path(source).wait() == 0, first.output
        signal_build(app_under_load, "STOP")
        check_busy(app_under_load, app_under_load.run(version="health-500"))
        signal_build(app_under_load, "CONT")
        done = first.end()
    assert not done.failed, done.output
    after = app_under_load.site.wait_until_quiet()
    assert after.live.endswith(f"Z-{SLOW_BUILD}")
    assert after.problem == ""
    assert len(after.attempts) == len(before.attempts) + 1
    app_under_load.check_no_request_failed()
    app_under_load.check_a_good_release_goes_live()


def test_lock_of_another_machine(app_under_load: AppUnderLoad) -> None:
    """Nobody here can tell whether its deploy lives: the message says how to clear it, and that works."""
    before = app_under_load.begin("lock of another machine")
    leave_lock_behind(app_under_load)
    check_busy(app_under_load, app_under_load.run(version=app_under_load.good_version()))
    app_under_load.check_live_is_as_before(before, app_under_load.site.look())
    app_under_load.site.host.check_output("farrier-release --app observatory unlock")
    app_under_load.check_live_is_untouched(before, app_under_load.site.wait_until_quiet())
    app_under_load.check_a_good_release_goes_live()


def test_lock_that_is_too_old(app_under_load: AppUnderLoad) -> None:
    """After an hour of silence the deploy of another machine is dead: the next one takes over by itself."""
    app_under_load.begin("old lock")
    leave_lock_behind(app_under_load)
    state = "/srv/observatory/.state.json"
    app_under_load.site.host.check_output(
        f"jq '.transaction.renewed_at -= 3700' {state} > {state}.new && mv {state}.new {state}"
    )
    app_under_load.check_a_good_release_goes_live()


def leave_lock_behind(app_under_load: AppUnderLoad) -> None:
    """Begin a deploy of a fleet as another machine does that dies before it goes on."""
    request = {
        "archive_sha256": "0" * 64,
        "version": "fleet",
        "project": {"lock": {}},
        "who": "ann@elsewhere",
        "owner": {"machine": "elsewhere", "pid": 1},
    }
    app_under_load.site.host.check_output(
        "farrier-release --app observatory begin --json --request %s", json.dumps(request)
    )


def signal_build(app_under_load: AppUnderLoad, signal: str) -> None:
    """Have the build that runs stand still, or go on."""
    app_under_load.site.host.check_output(
        f"systemctl kill --signal={signal} farrier-observatory-build.service"
    )


def check_busy(app_under_load: AppUnderLoad, done: Run) -> None:
    """Who holds the lock, with what, since when, and how to clear it."""
    lease = app_under_load.site.look().lease
    assert lease is not None
    check_refused(
        done,
        f"observatory is locked: deploy of {lease['release']} by {lease['who']} (phase ",
        ", since 20",
        "The lease lasts until 20",
        "Next: wait for it; if it is dead: ansible-playbook farrier.kit.unlock -e app=observatory",
    )


def pruned(state: State) -> list[str]:
    """Releases that have been live and are no longer there."""
    return [
        attempt["to"]
        for attempt in state.attempts
        if attempt["result"] == "live" and attempt["to"] not in state.releases
    ]
