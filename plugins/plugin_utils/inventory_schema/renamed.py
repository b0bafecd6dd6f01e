"""Variables that had another name in an earlier version; a problem names the new one."""

from __future__ import annotations

from collections.abc import Mapping

from .hosts import HostView
from .mistakes import Problem, merge

# Variables of the role that was called gunicorn.
OF_APP_SERVER = (
    "backlog",
    "keepalive_seconds",
    "library_directory",
    "proxy_keepalive_seconds",
    "sandbox",
    "sandbox_no_outbound",
    "sandbox_outbound",
    "socket_directory",
    "socket_group",
    "timeout_seconds",
)

# Name of today by that of 0.1.
RENAMED = {
    "certbot_replace": "certbot_force_renewal",
    "deploy_batches": "release_batches",
    "deploy_error_percent_max": "release_error_percent_max",
    "deploy_on_failure": "release_on_failure",
    "deploy_soak_seconds": "release_soak_seconds",
    "serving_min": "release_min_serving_hosts",
    **{f"gunicorn_{name}": f"app_server_{name}" for name in OF_APP_SERVER},
}


def renamed_problems(hosts: Mapping[str, HostView]) -> list[Problem]:
    """Return a problem for every variable with an old name, which nothing reads.

    Args:
        hosts: Every host of the groups `edge` and `app`.
    """
    return merge(
        [
            Problem("variable", variable, "", "was renamed in 0.2", f"rename it to {new}", hosts=[host])
            for host, view in hosts.items()
            for variable in view.variables
            if (new := RENAMED.get(variable))
        ]
    )
