#!/usr/bin/python
"""Ansible module: write files and run the commands that apply them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import applied, way_back

DOCUMENTATION = r"""
module: applied_file
short_description: Write files and run the commands that apply them
description:
  - Writes files, and runs the command that applies each, in place of a handler. If a run fails between the
    two, on this host or another one, the next run finishes it.
  - Keeps what was last applied below /run, because a boot applies everything.
  - If only comments of a file have changed, writes it and does not run its command, unless that is
    C(systemctl daemon-reload).
  - Writes many files in the time of one. The files belong to root.
options:
  files:
    description: The files, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      dest:
        description: The file. The module creates its directory.
        type: path
        required: true
      content:
        description: Content of the file. A file without C(content), C(link) and C(directory) is removed.
        type: str
      link:
        description: The file is a symbolic link to this path.
        type: str
      directory:
        description: The file is a directory with mode 0755.
        type: bool
        default: false
      mode:
        description: Mode of a file with C(content).
        type: str
        default: "0644"
      group:
        description: Group of a file with C(content).
        type: str
        default: root
      force:
        description: Whether to replace a file that is there.
        type: bool
        default: true
      apply:
        description: Command with its arguments. It runs once for all files that have it.
        type: list
        elements: str
        default: []
      validate:
        description:
          - Command that checks the file before any is written. C(%s) is a copy of the file, beside copies of
            the others, so that it may refer to them by relative paths.
          - In check mode, a host may lack the command.
        type: list
        elements: str
        default: []
      due:
        description: Whether to apply the file in any case, since the host is known not to go by it.
        type: bool
        default: false
  undo:
    description:
      - Command that makes the host go by the files that were there before. With it, a change is guarded.
        The host puts back what was after a minute, unless M(farrier.kit.guard_confirmation) lets the change
        stay.
      - If a command fails, what was there is put back at once.
      - The host needs the role P(farrier.kit.guard#role).
    type: list
    elements: str
    default: []
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Bound the journal
  farrier.kit.applied_file:
    files:
      - dest: /etc/systemd/journald.conf.d/farrier.conf
        content: "{{ lookup('ansible.builtin.template', 'journald.conf.j2') }}"
        apply: [systemctl, restart, systemd-journald.service]
      - dest: /var/lib/example
        directory: true
"""

RETURN = r"""
applied:
  description: Whether a command was run.
  returned: always
  type: bool
"""

# It restarts nothing, and systemd asks for it whatever has changed.
RELOAD = ["systemctl", "daemon-reload"]
EACH = {
    "dest": {"type": "path", "required": True},
    "content": {"type": "str"},
    "apply": {"type": "list", "elements": "str", "default": []},
    "link": {"type": "str"},
    "directory": {"type": "bool", "default": False},
    "mode": {"type": "str", "default": "0644"},
    "group": {"type": "str", "default": "root"},
    "force": {"type": "bool", "default": True},
    "validate": {"type": "list", "elements": "str", "default": []},
    "due": {"type": "bool", "default": False},
}


def validate(module: AnsibleModule, files: list[applied.File], checks: dict[Path, list[str]]) -> None:
    """Fail if the command of a file refuses it, before any is written.

    Args:
        module: Runs the commands.
        files: All files of the task.
        checks: Command by path, of those that have one.
    """
    with TemporaryDirectory() as directory:
        for file in files:
            if file.content is not None:
                applied.write(replace(file, dest=_copy(directory, file.dest), mode="0600", group=""))
        for path, command in checks.items():
            if module.check_mode and not module.get_bin_path(command[0]):
                continue
            words = [word.replace("%s", str(_copy(directory, path))) for word in command]
            code, stdout, stderr = module.run_command(words)
            if code != 0:
                said = f"{stdout}\n{stderr}".replace(directory, "").strip()
                module.fail_json(msg=f"{path} would be wrong, says {command[0]}. Nothing was changed. {said}")


def _copy(directory: str, path: Path) -> Path:
    return Path(directory, *path.parts[1:])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": EACH},
            "undo": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    checks = {Path(each["dest"]): each.pop("validate") for each in module.params["files"]}
    files = [applied.File(**each | {"dest": Path(each["dest"])}) for each in module.params["files"]]
    differing = [file for file in files if applied.differs(file)]
    due = [
        file
        for file in files
        if (file in differing and file.apply == RELOAD)
        or (file.apply and (file.due or not applied.is_applied(file.dest, file.content or "")))
    ]
    result = {"changed": bool(differing or due), "applied": bool(due)}
    diff = [applied.difference(file) for file in differing]
    if differing:
        validate(module, files, {path: command for path, command in checks.items() if command})
    if module.check_mode:
        module.exit_json(diff=diff, **result)
    undo = module.params["undo"] if due else []
    try:
        if undo:
            way_back.keep([file.dest for file in differing], undo)
            module.run_command(way_back.START_THE_CLOCK, check_rc=True)
        for file in differing:
            applied.write(file)
    except (OSError, LookupError) as error:
        module.fail_json(msg=f"Cannot write {', '.join(str(file.dest) for file in differing)}: {error}")
    for command in dict.fromkeys(tuple(file.apply) for file in due):
        code, _, stderr = module.run_command(list(command))
        of = [file for file in due if tuple(file.apply) == command]
        if code != 0:
            written = ", ".join(str(file.dest) for file in of)
            told = f"{written} was written, but {' '.join(command)} failed: {stderr.strip()}"
            if undo and module.run_command(way_back.PUT_BACK)[0] == 0:
                told += "\nWhat was there before is back."
            module.fail_json(msg=told)
        for file in of:
            applied.record(file.dest, file.content or "")
    module.exit_json(diff=diff, **result)


if __name__ == "__main__":
    main()
