"""Carry a deploy or rollback on, on one host: `farrier-release`, started over the connection itself.

Arguments:
    app: name of the application.
    phase: deploy, rollback, restart, processes, status, measure or unlock; and where several hosts get a
        release in order, begin, prepare, activate or abort.
    archive: for `deploy`, `begin` and `prepare`, what `source_archive` returned.
    release_stamp: for `begin`, a time such as 20261121T165606Z, where all hosts are to have the same release
        id.
    wait_seconds: for `begin`, how long the host may have to wait for its turn; it keeps the lease meanwhile.
    upload_to, lease: what `begin` returned as `upload_to` and `token`.
    migrate: for `prepare`, run the migrations too.
    defer_failure: return a failure as `problem`, with `unreachable_host` if that is why, and let the task
        succeed: in a fleet it is the end of a deploy that fails, in order and with all hosts.
    release, force: for `rollback`, its id (the one before the live one by default), and whether it may be one
        that never went live successfully; `force` also for `unlock`, while a phase runs.
    undo: for `rollback`, whether the settings that the live release has brought go back with it.
    path: for `measure`, what to ask for.
    remove: for `processes`, only stop and remove what is no longer in the inventory.

Returns what the tool returns: `changed`, `message`, `seconds`, and by phase `new`, `token`, `release`,
`upload_to`, `platform` and others. A failure has the application's own lines, what still serves, and what to
run next.
What changes something runs in a unit of the host's systemd, which goes on when the connection is cut or the
controller dies. This action asks for its progress in calls of a few seconds, and shows it.
No module is sent: the tool is on the host already, and a deploy would wait a second longer.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.farrier.kit.plugins.plugin_utils import controller_process
from ansible_collections.farrier.kit.plugins.plugin_utils.release_tool import (
    TOOL,
    Screen,
    followed,
    outcome,
    reported,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.source_archive import keep_completion

WITHOUT_LEASE = ("deploy", "begin", "rollback", "restart", "processes", "status", "measure", "unlock")
WITH_CHECK = ("deploy", "begin", "rollback", "processes", "status", "unlock")
# These take the lease, and may take it from a deploy that has died.
TAKING = ("deploy", "begin", "rollback", "restart")

Result = dict[str, Any]


class ActionModule(ActionBase):
    """Runs the tool, a second time when the lease is held by a process that has died here."""

    # The directory for it would be made in every phase, and only one has a file.
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Result:
        """Return what the tool returns."""
        result: Result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "app": {"type": "str", "required": True},
                "phase": {
                    "type": "str",
                    "required": True,
                    "choices": ["prepare", "activate", "abort", *WITHOUT_LEASE],
                },
                "archive": {"type": "dict"},
                "release_stamp": {"type": "str", "default": ""},
                "wait_seconds": {"type": "int", "default": 0},
                "upload_to": {"type": "str", "default": ""},
                "lease": {"type": "str", "default": ""},
                "migrate": {"type": "bool", "default": False},
                "release": {"type": "str", "default": ""},
                "force": {"type": "bool", "default": False},
                "undo": {"type": "bool", "default": False},
                "path": {"type": "str", "default": "/"},
                "remove": {"type": "bool", "default": False},
                "defer_failure": {"type": "bool", "default": False},
            },
            required_if=[("phase", phase, ["archive"]) for phase in ("deploy", "begin", "prepare")],
        )
        app, phase = arguments["app"], arguments["phase"]
        result["app"] = app  # hosts may begin with different apps, see `__release_parts`
        self._host = str((task_vars or {}).get("inventory_hostname", ""))
        if phase in ("deploy", "begin"):
            from ansible_collections.farrier.kit.plugins.plugin_utils import inventory_schema

            found = self._app(app, task_vars or {})
            arguments["inventory"] = inventory_schema.running_settings(found)
            arguments["settings"] = inventory_schema.travelling_settings(found)
        check = self._task.check_mode
        if check and phase not in WITH_CHECK:
            return {**result, "changed": True, "check": True, "message": f"{app}: would {phase}"}
        if arguments["defer_failure"]:
            return {**result, **reported(app, phase, lambda: self._phase(arguments, check=check))}
        return {**result, **self._phase(arguments, check=check)}

    def _app(self, app: str, task_vars: dict[str, Any]) -> Result:
        """What the inventory says of the app, to compare the host with."""
        from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve import resolver_of

        variables, resolver = resolver_of(self._host, task_vars, self._loader)
        resolved: list[Result] = resolver.resolve(variables["apps"])
        return next(each for each in resolved if each["name"] == app)

    def _phase(self, arguments: dict[str, Any], *, check: bool) -> Result:
        app, phase = arguments["app"], arguments["phase"]
        # This is a worker of the process that runs the playbook.
        owner = controller_process.describe(os.getppid())
        caller = {"who": controller_process.who(), "owner": owner}
        before, settings = "", arguments.get("settings")
        if phase == "deploy":
            # Nothing is sent to a host that has it already.
            asking = command({**arguments, "phase": "begin"}, caller, check=True)
            foreseen = self._call("", asking, app, phase, settings)
            if check or foreseen.get("failed") or not foreseen["new"]:
                return foreseen
            arguments = {**arguments, "upload_to": foreseen["upload_to"]}
        if phase in ("deploy", "prepare"):
            before = self._upload(arguments)
        argv = command(arguments, caller, check=check)
        found = self._call(before, argv, app, phase, settings)
        holder = found.get("holder")
        if holder and phase in TAKING and controller_process.is_gone(holder["owner"]):
            found = self._call("", [*argv, "--gone", holder["id"]], app, phase, settings)
        result = self._followed(found, app, phase)
        if result.get("completion"):
            keep_completion(Path(arguments["archive"]["path"]).parent, result.pop("completion"))
        return result

    def _followed(self, found: Result, app: str, phase: str) -> Result:
        def ask(arguments: list[str]) -> Result:
            return self._call("", [TOOL, "--app", app, *arguments], app, phase)

        return followed(found, ask, Screen(self._host).show, self._connection.reset)

    def _upload(self, arguments: dict[str, Any]) -> str:
        """Bring the source archive to the host; returns what puts it where the build expects it."""
        path = Path(arguments["archive"]["path"])
        directory = self._make_tmp_path()
        remote: str = self._connection._shell.join_path(directory, path.name)
        self._transfer_file(str(path), remote)
        self._fixup_perms2((directory, remote), execute=False)
        return f"mv -f {shlex.quote(remote)} {shlex.quote(arguments['upload_to'])} && "

    def _call(
        self, before: str, argv: list[str], app: str, phase: str, settings: Result | None = None
    ) -> Result:
        # Anything on standard input keeps ssh from asking for a terminal, where both outputs would be one.
        data = f"{json.dumps(settings) if settings else ''}\n".encode()
        done = self._low_level_execute_command(before + shlex.join(argv), in_data=data, executable="/bin/sh")
        return outcome(app, phase, done["rc"], done["stdout"], done["stderr"], check=self._task.check_mode)


def command(arguments: dict[str, Any], caller: dict[str, Any], *, check: bool) -> list[str]:
    """The command line of a phase.

    Args:
        arguments: of the task.
        caller: who runs the playbook: `who`, and the process, `owner`.
        check: whether only to say what would be done.
    """
    phase = arguments["phase"]
    argv = [TOOL, "--app", arguments["app"], phase, "--json"]
    checking = ["--check"] if check else []
    if phase in ("begin", "deploy"):
        archive = arguments["archive"]
        request = {
            "archive_sha256": archive["sha256"],
            "version": archive["version"],
            "project": archive["project"],
            "fetch_seconds": archive["seconds"],
            "release_stamp": arguments["release_stamp"],
            "inventory": arguments["inventory"],
            # A tool of an earlier version takes no notice of it.
            "settings": "stdin",
            "wait_seconds": arguments["wait_seconds"],
            **caller,
        }
        return [*argv, "--request", json.dumps(request), *checking]
    owner = ["--owner", json.dumps(caller["owner"]), "--who", caller["who"]]
    if phase == "restart":
        return [*argv, *owner]
    if phase == "rollback":
        release = ["--release", arguments["release"]] if arguments["release"] else []
        options = [f"--{name}" for name in ("force", "undo") if arguments[name]]
        return [*argv, *release, *owner, *options, *checking]
    if phase == "unlock":
        return [*argv, *(["--force"] if arguments["force"] else []), *checking]
    if phase == "measure":
        return [*argv, "--path", arguments["path"]]
    if phase == "processes":
        return [*argv, *(["--remove"] if arguments["remove"] else []), *checking]
    if phase in WITHOUT_LEASE:
        return argv
    return [*argv, "--token", arguments["lease"], *(["--migrate"] if arguments["migrate"] else [])]
