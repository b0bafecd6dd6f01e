#!/usr/bin/python
"""Ansible module: how many requests of an app this edge has answered with an error."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import answers

DOCUMENTATION = r"""
module: nginx_errors
short_description: How many requests of an app this edge has answered with an error
description:
  - Counts in nginx's log. Changes nothing.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  seconds:
    description: How far back to look, in seconds.
    type: int
    required: true
  log:
    description: The log, a JSON object in each line.
    type: path
    default: /var/log/nginx/access.log
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: What the edge has answered is known
  farrier.kit.nginx_errors:
    app: observatory
    seconds: 60
"""

RETURN = r"""
requests:
  description: How many requests there were.
  returned: always
  type: int
app_errors:
  description: How many of them the app itself answered 5xx.
  returned: always
  type: int
edge_errors:
  description: How many of them nginx answered 502 or 504, since no answer came from the app.
  returned: always
  type: int
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "seconds": {"type": "int", "required": True},
            "log": {"type": "path", "default": "/var/log/nginx/access.log"},
        },
        supports_check_mode=True,
    )
    since = time.time() - module.params["seconds"]
    counted = answers.count(answers.tail(Path(module.params["log"])), module.params["app"], since)
    module.exit_json(changed=False, **asdict(counted))


if __name__ == "__main__":
    main()
