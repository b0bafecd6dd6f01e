"""The releases of an application: their ids, what is known of each, which one is live."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from farrier_release.config import RELEASE_PATTERN, Configuration
from farrier_release.errors import UsageError
from farrier_release.storage import read_json, remove_tree, write_json
from farrier_release.workers import master, workers

STAMP_PATTERN = re.compile(r"\d{8}T\d{6}Z")
VERSION_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Manifest = dict[str, Any]


class Releases:
    """What is below `/srv/APP/releases`."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def new_id(self, version: str, stamp: str = "") -> str:
        """An id that no release has yet.

        Args:
            version: short commit, given name, or part of the archive's checksum.
            stamp: time as 20261121T165606Z; now by default.

        Raises:
            UsageError: a release has this version and stamp already.
        """
        if stamp:
            release = f"{stamp}-{version}"
            if os.path.lexists(self._configuration.release_directory(release)):
                raise UsageError(f"Release {release} already exists.", next_command="deploy again")
            return release
        now = time.time()
        while True:
            release = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{version}"
            if not os.path.lexists(self._configuration.release_directory(release)):
                return release
            now += 1

    def all(self) -> list[str]:
        """Ids of all releases, complete or not, oldest first."""
        directory = self._configuration.releases_directory
        if not directory.is_dir():
            return []
        return sorted(path.name for path in directory.iterdir() if RELEASE_PATTERN.fullmatch(path.name))

    def live(self) -> str | None:
        """Id of the release that `current` points to, or None."""
        try:
            return Path(self._configuration.current.readlink()).name
        except OSError:
            return None

    def previous(self) -> str | None:
        """Id of the release that the live one replaced when it was deployed, if that is still good."""
        manifest = self.manifest(self.live() or "")
        replaced = (manifest or {}).get("replaced")
        return replaced if replaced and self.verified(replaced) else None

    def manifest(self, release: str) -> Manifest | None:
        """What is known of a release, or None when it is not there or was never built completely."""
        return read_json(self._manifest_path(release)) if RELEASE_PATTERN.fullmatch(release) else None

    def verified(self, release: str) -> bool:
        """Whether the release has been live and found good."""
        return bool((self.manifest(release) or {}).get("verified_at"))

    def write_manifest(self, release: str, manifest: Manifest) -> None:
        """Record what is known of a release. Its directory is root's, so nobody can have put a trap there."""
        write_json(self._manifest_path(release), manifest, durable=True)

    def remove(self, release: str) -> None:
        """Remove a release. The caller knows that nothing uses it."""
        directory = self._configuration.release_directory(release)
        # Without its manifest a half removed release is known as one.
        self._manifest_path(release).unlink(missing_ok=True)
        remove_tree(directory)

    def in_use(self) -> set[str]:
        """Releases that must stay: the live one, the one before it, and all that still runs."""
        run_directory = self._configuration.run_directory
        running = [worker.release for worker in workers(run_directory)]
        running += working_in(self._configuration.releases_directory)
        names = (self.live(), self.previous(), master(run_directory).get("release"), *running)
        return {name for name in names if isinstance(name, str) and name}

    def choose_for_rollback(self, wanted: str | None, *, force: bool) -> str:
        """The release to go back to.

        Args:
            wanted: its id; None for the one before the live one.
            force: whether one that was never live may be taken.

        Raises:
            UsageError: there is no such release, or it is live, or was never verified.
        """
        live = self.live()
        candidates = [name for name in self.all() if name != live and self.verified(name)]
        choice = f"Releases that went live successfully: {', '.join(candidates) or 'none'}."
        again = "ansible-playbook farrier.kit.rollback -e release=ID"
        if wanted is None:
            previous = self.previous()
            if previous is None:
                raise UsageError(
                    f"The release before {live or 'nothing'} is unknown or was removed. {choice}",
                    next_command=again if candidates else "deploy a good version instead",
                )
            return previous
        if wanted == live:
            raise UsageError(f"{wanted} is already live. {choice}", next_command=again)
        if self.manifest(wanted) is None:
            raise UsageError(
                f"There is no release {wanted}: it was pruned or never existed. {choice}", next_command=again
            )
        if not force and not self.verified(wanted):
            raise UsageError(
                f"{wanted} never went live successfully. {choice}",
                next_command=f"{again}, or add -e release_force=true",
            )
        return wanted

    def index_path(self, release: str) -> Path:
        """Where the list of a release's files is kept, see `index`."""
        return self._configuration.release_directory(release) / ".farrier.index.json.gz"

    def _manifest_path(self, release: str) -> Path:
        return self._configuration.release_directory(release) / ".farrier.json"


def working_in(directory: Path) -> set[str]:
    """Names of the directories directly below one in which processes of this host work."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError, ValueError):  # it has ended, or works elsewhere
            found.add(link.readlink().relative_to(directory).parts[0])
    return found
