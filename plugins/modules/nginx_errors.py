#!/usr/bin/python
"""Ansible module: count the requests of an app that this edge answered with an error."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import answers

DOCUMENTATION = r"""
module: nginx_errors
short_description: Count the requests of an app that this edge answered with an error
description:
  - Reads nginx's access log. Changes nothing.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  seconds:
    description: Length of the time to look at, up to now, in seconds.
    type: int
    required: true
  log:
    description: Access log, one JSON object per line.
    type: path
    default: /var/log/nginx/access.log
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Count the errors of the last minute
  farrier.kit.nginx_errors:
    app: observatory
    seconds: 60
"""

RETURN = r"""
requests:
  description: Number of requests.
  returned: always
  type: int
app_errors:
  description: Number of requests that the app itself answered 5xx.
  returned: always
  type: int
edge_errors:
  description: Number of requests that nginx answered 502 or 504 because the app gave no answer.
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
