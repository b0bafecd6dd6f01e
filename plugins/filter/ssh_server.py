"""Filters for the role ssh: what its server is to go by, and what keeps it from that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.farrier.kit.plugins.plugin_utils import ssh_server


def ssh_server_settings(
    facts: Any, keyboard_interactive: bool, tcp_forwarding: str, further: Any
) -> list[tuple[str, str]]:
    """Return keywords and values for sshd_config, see `ssh_server.settings`."""
    return ssh_server.settings(
        facts,
        keyboard_interactive=bool(keyboard_interactive),
        tcp_forwarding=str(tcp_forwarding),
        further=further,
    )


def ssh_server_problems(facts: Any, wanted: Any, drop_in: str) -> list[str]:
    """Return why the settings must not be written, see `ssh_server.problems`."""
    return list(ssh_server.problems(facts, wanted, drop_in))


def ssh_server_differences(facts: Any, wanted: Any) -> list[str]:
    """Return which settings the server does not go by, see `ssh_server.differences`."""
    return ssh_server.differences(facts, wanted)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "ssh_server_differences": ssh_server_differences,
            "ssh_server_problems": ssh_server_problems,
            "ssh_server_settings": ssh_server_settings,
        }
