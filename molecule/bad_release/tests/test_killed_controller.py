"""The controller dies in the middle of a deploy: the host comes to a good end, and the next deploy works."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from app_under_load import AppUnderLoad
from versions import ENDLESS_BUILD, KILLED, SLOW_MIGRATION

from tests.harness.connections import forgotten, local_ports
from tests.harness.deploys import Playbook

GROUP = "app"
MIGRATED = "/var/lib/farrier/observatory/migrated"


@dataclass(frozen=True)
class Moment:
    """When the controller is killed.

    Args:
        name: for people.
        says: what the playbook has written by then.
        path: what exists on the host by then; {version} is that of the deploy.
        state: what the app's state file says by then.
        share: how much of the time of a deploy has passed by then.
        goes_live: whether the host has to finish the deploy by itself.
    """

    name: str
    says: str = ""
    path: str = ""
    state: tuple[str, ...] = ()
    share: float = 0.0
    goes_live: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def wait(self, app_under_load: AppUnderLoad, deploy: Playbook, version: str) -> None:
        """Wait until it has come."""
        if self.path:
            assert app_under_load.site.wait_for_path(self.path.format(version=version)).wait() == 0, (
                deploy.output
            )
        elif self.state:
            assert app_under_load.site.wait_for_state(*self.state).wait() == 0, deploy.output
        elif self.says:
            deploy.wait_until_it_says(self.says)
        else:
            time.sleep(self.share * app_under_load.deploy_seconds)


MOMENTS = (
    Moment("source is packed", says="[release : Pack the source]"),
    Moment("deploy begins", says="[release : Deploy the release]"),
    Moment("build begins", state=('"phase": "build"',), goes_live=True),
    Moment(
        "environment is made", path="/srv/observatory/releases/*-{version}/.venv/pyvenv.cfg", goes_live=True
    ),
    Moment("rehearsal begins", state=('"phase": "rehearse"',), goes_live=True),
    Moment("rehearsal listens", path="/run/farrier/observatory-rehearsal/http.sock", goes_live=True),
    Moment("migration begins", state=('"phase": "migrate"',), goes_live=True),
    Moment("activation begins", state=('"phase": "activate"',), goes_live=True),
    Moment("symlink moves", state=('"phase": "activate"', '"at": '), goes_live=True),
    *(
        Moment(f"{share:.0%} are done", share=share)
        for share in (random.uniform(0, 0.4), random.uniform(0.2, 1), random.uniform(0.2, 1))
    ),
)


@pytest.mark.parametrize(
    ("version", "moment"), list(zip(KILLED, MOMENTS, strict=True)), ids=map(str, MOMENTS)
)
def test_killed_controller_leaves_nothing_half_done(
    app_under_load: AppUnderLoad, version: str, moment: Moment
) -> None:
    """A deploy is finished or has not happened: once the host has begun, it comes to the end by itself, and
    nobody has to clear anything away before the next one."""
    before = app_under_load.begin(f"killed when {moment.name}")
    with app_under_load.start(version) as deploy:
        moment.wait(app_under_load, deploy, version)
        deploy.kill()
    after = app_under_load.site.wait_until_quiet(rehearsal_may_stand=True)
    app_under_load.check_no_request_failed()
    assert after.problem == ""
    assert after.live == before.live or after.live.endswith(f"Z-{version}")
    assert after.live != before.live or not moment.goes_live
    ended = after.attempts[len(before.attempts) :]
    if after.live != before.live:
        assert after.lease is None
        assert [(attempt["to"], attempt["result"]) for attempt in ended] == [(after.live, "live")]
        app_under_load.check_a_good_release_goes_live()
        return
    assert after.serving == before.serving
    assert ended == []
    app_under_load.check_a_good_release_goes_live()
    if after.lease is not None:
        # Said by the next deploy, since the dead one could not.
        said = app_under_load.site.look().attempts[len(before.attempts)]
        assert (said["to"], said["result"]) == (after.lease["release"], "abandoned")


def test_build_of_a_killed_controller_gives_way(app_under_load: AppUnderLoad) -> None:
    """Who starts again at once does not wait for what nobody wants any more."""
    before = app_under_load.begin("killed in a long build")
    with app_under_load.start(ENDLESS_BUILD) as deploy:
        source = f"/srv/observatory/releases/*-{ENDLESS_BUILD}/source/VERSION"
        assert app_under_load.site.wait_for_path(source).wait() == 0, deploy.output
        deploy.kill()
    app_under_load.check_a_good_release_goes_live()
    dead = app_under_load.site.look().attempts[len(before.attempts)]
    assert dead["to"].endswith(f"Z-{ENDLESS_BUILD}")
    assert dead["result"] in ("failed", "abandoned")


def test_activation_that_is_killed_too_is_mended(app_under_load: AppUnderLoad) -> None:
    """The last one who could tidy up is gone with the controller: the host has somebody else for that."""
    before = app_under_load.begin("killed with the activation")
    version = app_under_load.good_version()
    with app_under_load.start(version) as deploy:
        flipped = app_under_load.site.wait_for_state('"phase": "activate"', '"at": ')
        assert flipped.wait() == 0, deploy.output
        app_under_load.site.host.check_output(
            # Not all of the unit: that may take who comes to recover with it.
            "systemctl kill --signal=KILL --kill-whom=main farrier-observatory-transaction.service"
        )
        deploy.kill()
    after = app_under_load.site.wait_until_quiet(rehearsal_may_stand=True)
    assert after.problem == ""
    assert after.live == before.live or after.live.endswith(f"Z-{version}")
    assert len(after.attempts) > len(before.attempts)
    app_under_load.check_no_request_failed()
    app_under_load.check_a_good_release_goes_live()


def test_migration_of_a_killed_controller_is_not_cut_short(app_under_load: AppUnderLoad) -> None:
    """Half a migration is worse than a late one: the next deploy waits for its end."""
    app_under_load.site.host.check_output(f"rm -f {MIGRATED} {MIGRATED}-begun")
    before = app_under_load.begin("killed in a long migration")
    with app_under_load.start(SLOW_MIGRATION) as deploy:
        assert app_under_load.site.wait_for_path(f"{MIGRATED}-begun").wait() == 0, deploy.output
        deploy.kill()
    app_under_load.check_a_good_release_goes_live()
    assert app_under_load.site.host.file(MIGRATED).content_string.strip() == SLOW_MIGRATION
    assert app_under_load.site.look().attempts[len(before.attempts)]["to"].endswith(f"Z-{SLOW_MIGRATION}")


def test_connection_that_the_network_forgets_in_a_migration_is_replaced(
    app_under_load: AppUnderLoad, tmp_path: Path
) -> None:
    """The operator sees the end all the same."""
    host = app_under_load.site.host
    host.check_output(f"rm -f {MIGRATED} {MIGRATED}-begun")
    address = host.check_output("hostname -I").split()[0]
    app_under_load.begin("forgotten in a long migration")
    others = local_ports(address)
    ssh = {
        "ansible_control_path_dir": str(tmp_path),  # none of the connections that are there
        "ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=1",
    }
    with app_under_load.start(SLOW_MIGRATION, **ssh) as deploy:
        assert app_under_load.site.wait_for_path(f"{MIGRATED}-begun").wait() == 0, deploy.output
        own = local_ports(address) - others
        assert own
        with forgotten(address, own):
            done = deploy.end()
    assert not done.failed, done.output
    assert local_ports(address) & own == set()
    assert f"Z-{SLOW_MIGRATION}" in done.output.partition("PLAY RECAP")[0]
    assert app_under_load.site.look().live.endswith(f"Z-{SLOW_MIGRATION}")
    app_under_load.check_no_request_failed()
