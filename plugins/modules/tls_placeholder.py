#!/usr/bin/python
"""Ansible module: a certificate for names that have none yet."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.farrier_edge import placeholder

DOCUMENTATION = r"""
module: tls_placeholder
short_description: A certificate for names that have none yet
description:
  - Makes C(DIRECTORY/NAME/fullchain.pem) and C(privkey.pem) lead to a certificate for every name, by
    linking C(DIRECTORY/NAME) to a self-signed placeholder where it leads to none. A link that leads to
    one is left alone.
options:
  directory:
    description: Directory of the links; made with mode 0700 when it is not there.
    type: path
    required: true
  names:
    description: Names that need a certificate.
    type: list
    elements: str
    required: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Every app has a certificate
  tls_placeholder:
    directory: /etc/farrier/tls
    names: [observatory]
"""

RETURN = r"""
linked:
  description: Names that lead to the placeholder now and led nowhere before.
  returned: always
  type: list
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    directory, names = Path(module.params["directory"]), module.params["names"]
    make = not placeholder.is_usable(directory)
    linked = placeholder.missing(directory, names)
    if not module.check_mode:
        try:
            if make:
                placeholder.make(directory)
        except subprocess.CalledProcessError as error:
            module.fail_json(
                msg=f"openssl could not make the placeholder certificate in {directory}: {error.stderr}"
            )
        for name in linked:
            placeholder.link(directory, name)
    module.exit_json(changed=bool(make or linked), linked=linked)


if __name__ == "__main__":
    main()
