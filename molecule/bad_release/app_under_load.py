"""The app under load, and what has to be true of it before, during and after an attempt to replace it."""

from __future__ import annotations

from pathlib import Path

from versions import GOOD

from tests.harness.deploys import AppHost, Playbook, Run, State, run
from tests.harness.load import Load


class AppUnderLoad:
    """Deploys to the lab's host, each judged by what it leaves behind.

    Args:
        site: the app on its host.
        load: what keeps it busy.
        inventory: with which it is deployed.

    Attributes:
        deploy_seconds: how long a deploy takes here, as far as is known.
    """

    def __init__(self, site: AppHost, load: Load, inventory: Path) -> None:
        self.site = site
        self.inventory = inventory
        self.deploy_seconds = 6.0
        self._load = load
        self._failed = 0

    def begin(self, label: str) -> State:
        """Mark the beginning of a case in the load's record, and return what there is."""
        self._load.mark(label)
        self._failed = self._load.status()["failed"]
        return self.site.wait_until_quiet()

    def good_version(self) -> str:
        """A version that can live, and is not live yet."""
        live = self.site.look().live
        return next(version for version in GOOD if not live.endswith(f"Z-{version}"))

    def run(self, playbook: str = "deploy", **variables: str) -> Run:
        """Run a playbook to its end."""
        return run(self.inventory, playbook, app=self.site.app, **variables)

    def start(self, version: str, **variables: str) -> Playbook:
        """Start a deploy; to be used in a `with` block."""
        return Playbook(self.inventory, "deploy", {"app": self.site.app, "version": version, **variables})

    def check_live_is_untouched(self, before: State, after: State) -> None:
        """The same processes serve the same release, and nothing else is there that was not before."""
        assert after.serving == before.serving
        self.check_live_is_as_before(before, after)
        # What an earlier attempt left is removed by the first deploy that gets so far.
        assert after.releases in (before.releases, before.good_releases)
        assert after.incoming == []
        assert after.units == []
        assert after.lease is None

    def check_live_is_as_before(self, before: State, after: State) -> None:
        """The release of before is live, by the symlink, by systemd, and by what each worker says."""
        assert after.problem == ""
        assert after.live == before.live
        assert after.status["service"] == before.status["service"]

    def check_no_request_failed(self, *, not_answered_by: str = "") -> None:
        """Since `begin` nobody outside has noticed anything.

        Args:
            not_answered_by: a version that must not have answered a single request.
        """
        status = self._load.status()
        assert status["failed"] == self._failed, "failed requests; build/load/bad_release.json says which"
        if not_answered_by:
            assert [name for name in status["releases"] if name.endswith(f"Z-{not_answered_by}")] == []

    def check_a_good_release_goes_live(self) -> None:
        """Whatever has happened, the next deploy works, and what was left over is gone with it."""
        version = self.good_version()
        releases = self.site.look().status["releases"]
        draining = {release["id"] for release in releases if release["in_use"] and not release["good"]}
        done = self.run(version=version)
        assert not done.failed, done.output
        self.deploy_seconds = done.seconds
        after = self.site.wait_until_quiet()
        assert after.problem == ""
        assert after.live.endswith(f"Z-{version}")
        assert after.lease is None
        assert after.incoming == []
        assert after.attempts[-1]["to"] == after.live
        assert after.attempts[-1]["result"] == "live"
        # One whose workers were draining when the deploy began stays until the next.
        assert after.releases - after.good_releases <= draining, after.status["releases"]
        self.check_no_request_failed()
