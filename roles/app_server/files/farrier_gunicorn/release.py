"""Binds a process to one release, its code and its dependencies, whatever `current` points to later."""

from __future__ import annotations

import importlib
import os
import re
import site
import sys
from pathlib import Path

from farrier_gunicorn import distributions
from farrier_gunicorn.configuration import Configuration


class ReleaseChange:
    """What it takes to turn a process from the release that the master was started in to another one.

    Made once in the master, before any worker; `enter` is then called in each worker.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._prefixes = (str(configuration.current), str(configuration.release_directory.parent))
        self._started_in = configuration.release_directory
        self.executable = os.path.realpath(sys.executable)
        self.packages: dict[str, str] = {}
        """What the master has imported that no reload replaces; known once it is pinned."""

    def pin_master(self) -> None:
        """Take `current` out of the master's import path, so that it never mixes two releases."""
        self.packages = distributions.imported()
        sys.path[:] = self._translated(self._started_in)
        importlib.invalidate_caches()

    def obstacle(self, configuration: Configuration) -> str | None:
        """Why workers of this release cannot be forked from this master, or None. The cure is a restart."""
        python = configuration.virtual_environment / "bin" / "python"
        if os.path.realpath(python) != self.executable:
            runs_on = os.path.realpath(python)
            return f"release {configuration.release} runs on {runs_on}, the master on {self.executable}"
        brought = distributions.installed([str(self._site_packages(configuration))])
        for name, version in self.packages.items():
            if brought.get(name, version) != version:
                release = configuration.release
                return f"release {release} brings {name} {brought[name]}, the master runs {version}"
        return None

    def enter(self, configuration: Configuration) -> None:
        """Make this process, a fresh worker, one of the given release. Raises OSError when that is gone.

        The app's environment is the workers' alone: what an earlier one held is not in the master to inherit.
        """
        os.environ.update(configuration.environment)
        os.chdir(configuration.project_directory)
        self._forget_foreign_finders(configuration)
        sys.path[:] = [
            str(configuration.project_directory),
            *self._translated(configuration.release_directory),
        ]
        # Once more for this release's own .pth files: the interpreter has read those of the master's release.
        site.addsitedir(str(self._site_packages(configuration)))
        sys.prefix = sys.exec_prefix = str(configuration.virtual_environment)
        sys.executable = str(configuration.virtual_environment / "bin" / "python")
        importlib.invalidate_caches()

    def _site_packages(self, configuration: Configuration) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return configuration.virtual_environment / "lib" / version / "site-packages"

    def _belongs_to_a_release(self, path: str) -> bool:
        return path.startswith(tuple(prefix + os.sep for prefix in self._prefixes))

    def _translated(self, release_directory: Path) -> list[str]:
        """`sys.path` with the virtual environment of `release_directory` and nothing else of any release.

        gunicorn adds a directory at every reload and never takes one out, and `python -m` begins the list
        with the directory that it is called in.
        """
        entries: list[str] = []
        for entry in sys.path:
            virtual_environment = re.search(r"/\.venv(?=/lib/)", entry)
            if self._belongs_to_a_release(entry):
                if not virtual_environment:
                    continue
                entry = f"{release_directory}{entry[virtual_environment.start() :]}"
            if entry not in ("", "/", *entries):
                entries.append(entry)
        return entries

    def _forget_foreign_finders(self, configuration: Configuration) -> None:
        """Drop import hooks that .pth files of another release put in (editable installations do)."""
        for finders in (sys.meta_path, sys.path_hooks):
            for finder in list(finders):
                module = sys.modules.get(getattr(finder, "__module__", None) or type(finder).__module__)
                file = getattr(module, "__file__", None) or ""
                if self._belongs_to_a_release(file) and not _is_below(file, configuration.release_directory):
                    finders.remove(finder)  # type: ignore[arg-type]  # two lists of unlike things
                    sys.modules.pop(getattr(module, "__name__", ""), None)


def _is_below(file: str, directory: Path) -> bool:
    return os.path.realpath(file).startswith(f"{directory}{os.sep}")
