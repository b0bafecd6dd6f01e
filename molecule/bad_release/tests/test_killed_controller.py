"""The controller dies in the middle of a deploy: the host comes to a good end, and the next deploy works."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest
from shared.deploys import Playbook
from stage import Stage
from versions import KILLED, SLOW_BUILD, SLOW_MIGRATION

GROUP = "app"


@dataclass(frozen=True)
class Moment:
    """When the controller is killed.

    Args:
        name: for people.
        says: what the playbook has written by then.
        path: what exists on the host by then; {version} is that of the deploy.
        share: how much of the time of a deploy has passed by then.
        goes_live: whether the host has to finish the deploy by itself.
    """

    name: str
    says: str = ""
    path: str = ""
    share: float = 0.0
    goes_live: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def wait(self, stage: Stage, deploy: Playbook, version: str) -> None:
        """Wait until it has come."""
        if self.path:
            assert stage.site.wait_for_path(self.path.format(version=version)).wait() == 0, deploy.output
        elif self.says:
            deploy.wait_until_it_says(self.says)
        else:
            time.sleep(self.share * stage.deploy_seconds)


MOMENTS = (
    Moment("source is packed", says="[release : The source is packed]"),
    Moment("deploy begins", says="[release : The deploy may begin]"),
    Moment("lease is taken", path="/run/farrier/observatory.lease.json"),
    Moment("build begins", says="[release : The release is built]"),
    Moment("environment is made", path="/srv/observatory/releases/*-{version}/.venv/pyvenv.cfg"),
    Moment("rehearsal begins", says="[release : The release lives in a rehearsal]"),
    Moment("rehearsal listens", path="/run/farrier/observatory-rehearsal/http.sock"),
    Moment("migration begins", says="[release : The database is ready for the release]"),
    Moment("activation begins", says="[release : The release is live]"),
    Moment("symlink moves", path="/srv/observatory/.activation.json", goes_live=True),
    *(
        Moment(f"{share:.0%} are done", share=share)
        for share in (random.uniform(0.2, 1), random.uniform(0.2, 1))
    ),
)


@pytest.mark.parametrize(
    ("version", "moment"), list(zip(KILLED, MOMENTS, strict=True)), ids=map(str, MOMENTS)
)
def test_killed_controller_leaves_nothing_half_done(stage: Stage, version: str, moment: Moment) -> None:
    """A deploy is finished or has not happened, and nobody has to clear anything away before the next one."""
    before = stage.begin(f"killed when {moment.name}")
    with stage.start(version) as deploy:
        moment.wait(stage, deploy, version)
        deploy.kill()
    after = stage.site.wait_until_quiet(rehearsal_may_stand=True)
    stage.check_no_request_failed()
    assert after.problem == ""
    assert after.live == before.live or after.live.endswith(f"Z-{version}")
    assert after.live != before.live or not moment.goes_live
    ended = after.attempts[len(before.attempts) :]
    if after.live != before.live:
        assert after.lease is None
        assert [(attempt["to"], attempt["result"]) for attempt in ended] == [(after.live, "live")]
        stage.check_a_good_release_goes_live()
        return
    assert after.serving == before.serving
    assert ended == []
    stage.check_a_good_release_goes_live()
    if after.lease is not None:
        # Said by the next deploy, since the dead one could not.
        said = stage.site.look().attempts[len(before.attempts)]
        assert (said["to"], said["result"]) == (after.lease["release"], "abandoned")


def test_build_of_a_killed_controller_gives_way(stage: Stage) -> None:
    """Who starts again at once does not wait for what nobody wants any more."""
    before = stage.begin("killed in a long build")
    with stage.start(SLOW_BUILD) as deploy:
        deploy.wait_until_it_says("[release : The release is built]")
        assert stage.site.wait_for_path("/srv/observatory/releases/*-slow-build/source/VERSION").wait() == 0
        deploy.kill()
    stage.check_a_good_release_goes_live()
    dead = stage.site.look().attempts[len(before.attempts)]
    assert dead["to"].endswith(f"Z-{SLOW_BUILD}")
    assert dead["result"] in ("failed", "abandoned")


def test_activation_that_is_killed_too_is_mended(stage: Stage) -> None:
    """The last one who could tidy up is gone with the controller: the host has somebody else for that."""
    before = stage.begin("killed with the activation")
    version = stage.good_version()
    with stage.start(version) as deploy:
        assert stage.site.wait_for_path("/srv/observatory/.activation.json").wait() == 0, deploy.output
        stage.site.host.check_output("systemctl kill --signal=KILL farrier-observatory-activate.service")
        deploy.kill()
    after = stage.site.wait_until_quiet(rehearsal_may_stand=True)
    assert after.problem == ""
    assert after.live == before.live or after.live.endswith(f"Z-{version}")
    assert len(after.attempts) > len(before.attempts)
    stage.check_no_request_failed()
    stage.check_a_good_release_goes_live()


def test_migration_of_a_killed_controller_is_not_cut_short(stage: Stage) -> None:
    """Half a migration is worse than a late one: the next deploy waits for its end."""
    word = "/var/lib/farrier/observatory/migrated"
    stage.site.host.check_output(f"rm -f {word} {word}-begun")
    before = stage.begin("killed in a long migration")
    with stage.start(SLOW_MIGRATION) as deploy:
        assert stage.site.wait_for_path(f"{word}-begun").wait() == 0, deploy.output
        deploy.kill()
    stage.check_a_good_release_goes_live()
    assert stage.site.host.file(word).content_string.strip() == SLOW_MIGRATION
    assert stage.site.look().attempts[len(before.attempts)]["to"].endswith(f"Z-{SLOW_MIGRATION}")
