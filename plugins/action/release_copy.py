"""Copy a release from the host that built it to others, through a cache on the controller.

Arguments:
    app: name of the application.
    phase: `offer`, on the host that has built the release, or `receive`, on another host in place of `build`.
    lease: what `begin` returned as `token` on the same host, where it was given a `release_stamp`.
    index: for `receive`, what `offer` returned as `index`.
    defer_failure: as that of `release_phase`.
    cache_directory: where contents of releases are kept on the controller.

Returns of `offer`: `offered`, whether other hosts can have the release (else they have to build it), `index`,
and `travelled`, how many contents the controller has fetched. Of `receive`: what the tool returns. Either way
only contents travel that the other end lacks. A failure is that of `release_phase`.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.farrier.kit.plugins.plugin_utils.release_cache import CacheError, ReleaseCache
from ansible_collections.farrier.kit.plugins.plugin_utils.release_tool import (
    TOOL,
    Screen,
    followed,
    outcome,
    reported,
)

Result = dict[str, Any]


class ActionModule(ActionBase):
    """Fetches from one host what the cache lacks, and sends another one what that lacks."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Result:
        """Return what came of it."""
        result: Result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "app": {"type": "str", "required": True},
                "phase": {"type": "str", "required": True, "choices": ["offer", "receive"]},
                "lease": {"type": "str", "default": ""},
                "index": {"type": "path"},
                "defer_failure": {"type": "bool", "default": False},
                "cache_directory": {"type": "path", "default": "~/.cache/farrier/releases"},
            },
            required_if=[("phase", "receive", ["index"])],
        )
        app, phase = arguments["app"], arguments["phase"]
        if self._task.check_mode:
            return {**result, "changed": phase == "receive", "message": f"{app}: would {phase}"}
        name = str((task_vars or {}).get("inventory_hostname", ""))
        if arguments["defer_failure"]:
            return {**result, **reported(app, phase, lambda: self._copy(name, arguments))}
        return {**result, **self._copy(name, arguments)}

    def _copy(self, name: str, arguments: dict[str, Any]) -> Result:
        app, phase = arguments["app"], arguments["phase"]
        host = _Host(self, name, app, arguments["lease"])
        try:
            cache = ReleaseCache(Path(arguments["cache_directory"]))
            if phase == "offer":
                return offer(host, cache)
            return receive(host, cache, Path(arguments["index"]))
        except PhaseError as error:
            return error.result
        except CacheError as error:
            return {"failed": True, "msg": f"{app}: {phase} failed. {error}"}
        except OSError as error:
            return {"failed": True, "msg": f"{app}: {phase} failed on the controller: {error}"}


class PhaseError(Exception):
    """The tool failed; `result` is the task's result."""

    def __init__(self, result: Result) -> None:
        super().__init__(result["msg"])
        self.result = result


class _Host:
    """The tool on a host, with a directory there that is the connecting user's."""

    def __init__(self, action: ActionModule, name: str, app: str, lease: str) -> None:
        self._action, self._name, self._app, self._lease = action, name, app, lease
        self._directory: str = action._make_tmp_path()

    def path(self, name: str) -> str:
        """Path of a file in that directory."""
        path: str = self._action._connection._shell.join_path(self._directory, name)
        return path

    def call(self, phase: str, *options: str, stdin: str = "") -> Result:
        """Run a phase.

        Raises:
            PhaseError: it failed.
        """
        found = self._ask([phase, "--json", "--token", self._lease, *options], phase, stdin)

        def ask(arguments: list[str]) -> Result:
            return self._ask(arguments, phase)

        return followed(found, ask, Screen(self._name).show, self._action._connection.reset)

    def _ask(self, arguments: list[str], phase: str, stdin: str = "") -> Result:
        argv = [TOOL, "--app", self._app, *arguments]
        # Anything on standard input keeps ssh from asking for a terminal, where both outputs would be one.
        done = self._action._low_level_execute_command(
            shlex.join(argv), in_data=f"{stdin}\n".encode(), executable="/bin/sh"
        )
        found = outcome(self._app, phase, done["rc"], done["stdout"], done["stderr"], check=False)
        if found.get("failed"):
            raise PhaseError(found)
        return found

    def fetch(self, name: str, to: Path) -> Path:
        """Bring a file of the directory to the controller."""
        self._action._connection.fetch_file(self.path(name), str(to / name))
        return to / name

    def send(self, file: Path, name: str) -> str:
        """Bring a file to the directory; returns its path there."""
        path = self.path(name)
        self._action._transfer_file(str(file), path)
        return path


def offer(host: _Host, cache: ReleaseCache) -> Result:
    """Fetch the index of the release, and those contents that the cache lacks.

    Raises:
        PhaseError: the tool failed.
        CacheError: the host has sent something else.
    """
    offered = host.call("offer", "--output", host.path("index"))
    if not offered["offered"]:
        return {**offered, "index": ""}
    with cache.arrivals() as directory:
        index = cache.add_index(host.fetch("index", directory), offered["sha256"])
        lacking = cache.lacking(index)
        if lacking:
            host.call("pack", "--output", host.path("pack"), stdin=json.dumps(lacking))
            cache.add_pack(host.fetch("pack", directory), index, lacking)
    return {**offered, "index": str(index), "travelled": len(lacking)}


def receive(host: _Host, cache: ReleaseCache, index: Path) -> Result:
    """Send the index of a release, and those contents that the host lacks; then the release is there.

    Raises:
        PhaseError: the tool failed.
        CacheError: the cache no longer has the release.
    """
    options = ["--index", host.send(index, "index"), "--index-sha256", index.name.partition(".")[0]]
    missing = host.call("want", *options)["missing"]
    if missing:
        options += ["--pack", host.send(cache.pack(index, missing), "pack")]
    return host.call("receive", *options)
