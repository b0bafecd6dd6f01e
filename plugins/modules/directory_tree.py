#!/usr/bin/python
"""Ansible module: copy a directory of source files from the controller."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.tree_digest import file_digests

DOCUMENTATION = """
module: directory_tree
short_description: Copy a directory of source files from the controller
description:
  - Compares checksums first and transfers all files that differ at once.
  - Replaces each file atomically. Removes files that the controller does not have, except for compiled
    Python.
  - All files belong to root and are readable by everyone.
options:
  src:
    description: Directory on the controller, in the role's C(files). Text files in UTF-8.
    type: str
  dest:
    description: Directory on the host.
    type: path
    required: true
  digests:
    description: Set by the action plugin. SHA-256 of every file.
    type: dict
  contents:
    description: Set by the action plugin. Content of the files that the host lacks.
    type: dict
attributes:
  check_mode:
    support: full
    description: Returns the files that would change.
author: Farrier
"""

EXAMPLES = """
- name: Copy the release tool
  farrier.kit.directory_tree:
    src: farrier_release
    dest: /usr/local/lib/farrier/farrier_release
"""

RETURN = """
files: {description: Files that were written or removed., type: list, returned: success}
"""


def write(root: Path, contents: dict[str, str], superfluous: list[str]) -> None:
    """Bring a directory up to date.

    Raises:
        OSError: for instance when the disk is full; each file is then the old or the new one.
    """
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(content, encoding="utf-8")
        temporary.chmod(0o644)
        temporary.rename(path)
    for name in superfluous:
        (root / name).unlink()
    for directory in [root, *root.rglob("*/")]:
        directory.chmod(0o755)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "str"},
            "dest": {"type": "path", "required": True},
            "digests": {"type": "dict", "required": True},
            "contents": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    root, wanted = Path(module.params["dest"]), module.params["digests"]
    there = file_digests(root)
    missing = [name for name, digest in wanted.items() if there.get(name) != digest]
    superfluous = [name for name in there if name not in wanted]
    names = sorted([*missing, *superfluous])
    if not names:
        module.exit_json(changed=False, files=[])
    diff = {"prepared": "\n".join(names)}
    if not module.check_mode:
        contents = module.params["contents"]
        if contents is None and missing:
            module.exit_json(changed=False, missing=missing)
        try:
            write(root, contents or {}, superfluous)
        except OSError as error:
            module.fail_json(msg=f"Cannot write {root}: {error}")
    module.exit_json(changed=True, files=names, diff=diff)


if __name__ == "__main__":
    main()
