"""Orders that cannot be carried out stop before anything live is touched, with the cause and the way out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from shared import deploys
from shared.deploys import ROOT, Run, State
from stage import Stage
from versions import GOOD

GROUP = "app"
REPOSITORY = ROOT / "build/bad_release/observatory"


@contextmanager
def nothing_happens(stage: Stage, label: str, *, attempts: int = 0) -> Iterator[State]:
    """What is live is the same afterwards, and no request has failed; `attempts` are on record."""
    before = stage.begin(label)
    yield before
    after = stage.site.wait_until_quiet()
    stage.check_live_is_untouched(before, after)
    stage.check_no_request_failed()
    assert len(after.attempts) == len(before.attempts) + attempts


def check_refused(done: Run, *texts: str) -> None:
    """The run failed, and said all of this."""
    assert done.failed, done.output
    for text in texts:
        assert text in done.output, done.output


def test_unknown_app(stage: Stage) -> None:
    """A slip of the pen is answered by the names that there are."""
    with nothing_happens(stage, "unknown app"):
        done = deploys.run(stage.inventory, "deploy", app="observatorium")
        check_refused(done, "There is no app observatorium.", "The inventory has: observatory")


def test_unknown_version(stage: Stage) -> None:
    """A reference that git does not have is answered by some that it has."""
    with nothing_happens(stage, "unknown version"):
        done = stage.run(version="v9.9.9")
        check_refused(done, "has no version 'v9.9.9'.", "Newest branches and tags: ")


def test_archive_that_is_not_what_was_ordered(stage: Stage, tmp_path: Path) -> None:
    """What somebody has changed on its way is not even unpacked."""
    archive = tmp_path / "observatory.tar.gz"
    subprocess.run(["git", "archive", f"--output={archive}", GOOD[0]], cwd=REPOSITORY, check=True)
    checksum = "0123456789abcdef" * 4
    inventory = inventory_with(stage, tmp_path, {"archive": str(archive), "checksum": f"sha256:{checksum}"})
    with nothing_happens(stage, "wrong checksum"):
        done = deploys.run(inventory, "deploy", app="observatory")
        check_refused(
            done, f"{archive} is not what its checksum says", f"sha256:{checksum}", "correct source.checksum"
        )


def test_source_without_lock_file(stage: Stage) -> None:
    """What is deployed today has to be the same tomorrow."""
    with nothing_happens(stage, "no lock file"):
        check_refused(stage.run(version="no-lock"), "has no lock file", "Make one with `uv lock`")


def test_python_that_nobody_has(stage: Stage) -> None:
    """A host without a Python for the app says which one is wanted, which there is, and what to set."""
    with nothing_happens(stage, "Python too new", attempts=1):
        check_refused(
            stage.run(version="python-too-new"),
            "observatory: build failed.",
            "wants Python >=3.99; this host has Python 3.",
            "Next: set `python` of the application",
        )


def test_rollback_to_what_never_was(stage: Stage) -> None:
    """A mistyped id is answered by those that there are."""
    with nothing_happens(stage, "rollback to nothing") as before:
        done = stage.run("rollback", release="20200101T000000Z-never")
        good = [release["id"] for release in before.status["releases"] if not release["live"]]
        check_refused(
            done, "There is no release 20200101T000000Z-never: it was pruned or never was.", *good, "Next: "
        )


def test_rollback_to_what_was_pruned(stage: Stage) -> None:
    """A release that was good once, and is gone."""
    while not (gone := pruned(stage.site.look())):
        stage.check_a_good_release_goes_live()
    with nothing_happens(stage, "rollback to a pruned release"):
        done = stage.run("rollback", release=gone[0])
        check_refused(done, f"There is no release {gone[0]}: it was pruned or never was.", "Next: ")


def test_full_disk(stage: Stage) -> None:
    """Room is looked for before a build begins, not found missing in the middle of it."""
    host = stage.site.host
    free_mb = int(
        host.check_output("df --output=avail --block-size=M /srv/observatory | tail -n 1").strip(" M")
    )
    host.check_output(f"fallocate --length {free_mb - 3}M /srv/observatory/ballast")
    try:
        with nothing_happens(stage, "full disk"):
            done = stage.run(version=stage.good_version())
            check_refused(
                done,
                "observatory: begin failed. The disk of /srv/observatory/releases is full: ",
                "Next: du -sh /srv/observatory/*",
            )
    finally:
        host.check_output("rm /srv/observatory/ballast")
    stage.check_a_good_release_goes_live()


def test_second_deploy_is_refused(stage: Stage) -> None:
    """Two people deploy at once: the second one is told who is first, and the first one is not disturbed."""
    before = stage.begin("two deploys at once")
    version = stage.good_version()
    with stage.start(version) as first:
        first.wait_until_it_says("[release : The release is built]")
        first.hold()
        check_busy(stage, stage.run(version="health-500"))
        first.go_on()
        done = first.end()
    assert not done.failed, done.output
    after = stage.site.wait_until_quiet()
    assert after.live.endswith(f"Z-{version}")
    assert after.problem == ""
    assert len(after.attempts) == len(before.attempts) + 1
    stage.check_no_request_failed()
    stage.check_a_good_release_goes_live()


def test_lock_of_another_machine(stage: Stage) -> None:
    """Nobody here can tell whether its deploy lives: the message says how to clear it, and that works."""
    before = stage.begin("lock of another machine")
    leave_lock_behind(stage, '.owner.machine = "elsewhere"')
    check_busy(stage, stage.run(version=stage.good_version()))
    stage.check_live_is_as_before(before, stage.site.look())
    stage.site.host.check_output("farrier-release --app observatory unlock --force")
    stage.check_live_is_untouched(before, stage.site.wait_until_quiet())
    stage.check_a_good_release_goes_live()


def test_lock_that_is_too_old(stage: Stage) -> None:
    """After an hour of silence the deploy of another machine is dead: the next one takes over by itself."""
    stage.begin("old lock")
    leave_lock_behind(stage, '.owner.machine = "elsewhere" | .renewed_at -= 3700')
    stage.check_a_good_release_goes_live()


def leave_lock_behind(stage: Stage, change: str) -> None:
    """Kill a deploy that holds the lease, and change the lease by a jq filter."""
    lease = "/run/farrier/observatory.lease.json"
    with stage.start(stage.good_version()) as deploy:
        deploy.wait_until_it_says("[release : The release is built]")
        deploy.kill()
    stage.site.wait_until_quiet(rehearsal_may_stand=True)
    stage.site.host.check_output(f"jq '{change}' {lease} > {lease}.new && mv {lease}.new {lease}")


def check_busy(stage: Stage, done: Run) -> None:
    """Who holds the lock, with what, since when, and how to clear it."""
    lease = stage.site.look().lease
    assert lease is not None
    check_refused(
        done,
        f"observatory is locked: deploy of {lease['release']} by {lease['who']} (phase ",
        ", since 20",
        "Next: wait for it; if it is dead: farrier-release --app observatory unlock --force",
    )


def pruned(state: State) -> list[str]:
    """Releases that have been live and are no longer there."""
    return [
        attempt["to"]
        for attempt in state.attempts
        if attempt["result"] == "live" and attempt["to"] not in state.releases
    ]


def inventory_with(stage: Stage, directory: Path, source: dict[str, Any]) -> Path:
    """Write a copy of the inventory in which the app comes from elsewhere."""
    inventory = directory / "inventory"
    shutil.copytree(stage.inventory, inventory)
    path = inventory / "group_vars/all/apps.yml"
    variables = yaml.safe_load(path.read_text())
    variables["apps"][0]["source"] = source
    path.write_text(yaml.safe_dump(variables))
    return inventory
