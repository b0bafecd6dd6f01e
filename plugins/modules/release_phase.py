#!/usr/bin/python
"""One phase of a release, on the host."""

from __future__ import annotations

import json
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: release_phase
short_description: One phase of a release
description:
  - Runs C(farrier-release) on the host and says what came of it.
  - A failure comes with the application's own lines, what still serves, and what to run next.
options:
  app:
    description: Name of the application.
    type: str
    required: true
  phase:
    description: What to do.
    type: str
    required: true
    choices: [begin, build, rehearse, migrate, activate, finish, abort, rollback, status]
  archive:
    description: For C(begin) and C(build), what C(source_archive) returned.
    type: dict
  inventory:
    description: For C(begin), the app of the inventory, of whose changes the host must have been told.
    type: dict
  upload_to:
    description: For C(build), what C(begin) returned as C(upload_to).
    type: path
  lease:
    description: What C(begin) returned as C(token); for all phases between it and C(finish).
    type: str
    default: ""
  release:
    description: For C(rollback), the release's id; the one before the live one by default.
    type: str
    default: ""
  force:
    description: For C(rollback), also to a release that was never live and good.
    type: bool
    default: false
  who:
    description: Who asks for it; filled in.
    type: str
    default: ""
  owner:
    description: The controller's process; filled in.
    type: dict
  upload:
    description: Where the archive has arrived; filled in.
    type: path
  gone:
    description: Id of a lease whose holder is dead; filled in.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what would be done.
author: Farrier
"""

EXAMPLES = """
- name: The release before the live one is live
  release_phase:
    app: observatory
    phase: rollback
"""

RETURN = """
message: {description: What was done., type: str, returned: always}
seconds: {description: Time taken on the host., type: float, returned: always}
new: {description: 'Of begin: whether there is anything to deploy.', type: bool, returned: success}
token: {description: 'Of begin: the lease.', type: str, returned: changed}
release: {description: 'Of begin and rollback: id of the release.', type: str, returned: success}
upload_to: {description: 'Of begin: where the build expects the archive.', type: str, returned: changed}
"""


TOOL = "farrier-release"
LEASED = ("build", "rehearse", "migrate", "activate", "abort")


def command(parameters: dict[str, Any], tool: str, check: bool) -> list[str]:
    """The command line of a phase."""
    phase = parameters["phase"]
    argv = [tool, "--app", parameters["app"], phase, "--json"]
    gone = ["--gone", parameters["gone"]] if parameters["gone"] else []
    if phase == "begin":
        archive = parameters["archive"]
        request = {
            "archive_sha256": archive["sha256"],
            "version": archive["version"],
            "project": archive["project"],
            "fetch_seconds": archive["seconds"],
            "inventory": known_to_the_host(parameters["inventory"] or {}),
            "who": parameters["who"],
            "owner": parameters["owner"],
        }
        return [*argv, "--request", json.dumps(request), *gone, *(["--check"] if check else [])]
    if phase == "rollback":
        release = ["--release", parameters["release"]] if parameters["release"] else []
        owner = ["--owner", json.dumps(parameters["owner"] or {}), "--who", parameters["who"]]
        return [*argv, *release, *owner, *gone, *(["--force"] if parameters["force"] else [])]
    return [*argv, *(["--token", parameters["lease"]] if phase in LEASED else [])]


def known_to_the_host(app: dict[str, Any]) -> dict[str, Any]:
    """Those keys of the inventory's app that the host has from `site.yml`, and must agree with."""
    keys = ("python", "health_path", "migrate", "hooks", "module")
    found = {key: app[key] for key in keys if app.get(key) is not None}
    return {**found, "subdir": (app.get("source") or {}).get("subdir") or ""} if app else {}


def failure(app: str, phase: str, result: dict[str, Any]) -> str:
    """For an operator: what broke, the application's own lines, what still serves, what to do next."""
    error = result["error"]
    lines = [f"{app}: {phase} failed. {error['message']}"]
    if error["log"]:
        lines += ["It said:", *(f"    {line}" for line in error["log"])]
    live, trouble = result.get("live"), result.get("live_problem")
    if live and not trouble:
        lines.append(f"Still live and serving: {live}")
    elif live:
        lines.append(f"LOOK AT IT: {live} should be live, but {trouble}.")
    else:
        lines.append("Nothing of this app is live on this host.")
    if error["next_command"]:
        lines.append(f"Next: {error['next_command']}")
    return "\n".join(lines)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "phase": {
                "type": "str",
                "required": True,
                "choices": ["begin", *LEASED, "finish", "rollback", "status"],
            },
            "archive": {"type": "dict"},
            "inventory": {"type": "dict"},
            "lease": {"type": "str", "default": ""},
            "release": {"type": "str", "default": ""},
            "force": {"type": "bool", "default": False},
            "who": {"type": "str", "default": ""},
            "owner": {"type": "dict"},
            "upload": {"type": "path"},
            "upload_to": {"type": "path"},
            "gone": {"type": "str", "default": ""},
        },
        required_if=[("phase", "begin", ["archive"])],
        supports_check_mode=True,
    )
    app, phase = module.params["app"], module.params["phase"]
    tool = shutil.which(TOOL, path="/usr/local/bin:/usr/bin:/bin")
    if module.check_mode and (tool is None or phase not in ("begin", "status")):
        module.exit_json(changed=phase != "status", new=True, message=f"{app}: would {phase}")
    if tool is None:
        module.fail_json(msg=f"{TOOL} is not on this host. Next: ansible-playbook site.yml")
        return
    if phase == "build":
        module.atomic_move(module.params["upload"], module.params["upload_to"])
    code, stdout, stderr = module.run_command(command(module.params, tool, module.check_mode))
    try:
        result = json.loads(stdout)
    except ValueError:
        module.fail_json(
            msg=f"{app}: {phase} ended with exit code {code} and without a result:\n{stderr or stdout}"
        )
    if result.get("failed"):
        module.fail_json(
            msg=failure(app, phase, result), **{k: v for k, v in result.items() if k != "failed"}
        )
    module.exit_json(**result, progress=stderr.splitlines())


if __name__ == "__main__":
    main()
