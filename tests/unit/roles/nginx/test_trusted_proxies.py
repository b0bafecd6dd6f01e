"""Who is believed about a client's address, in nginx's configuration as the role's templates make it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.playbooks import Play, run_in
from tests.unit.roles.nginx.test_http3 import ROLE, play

PROXIES = {"nginx_trusted_proxies": ["192.0.2.0/24", "2001:db8::/32"]}


def render(directory: Path, variables: dict[str, Any]) -> str:
    """Return every file of nginx as one text."""
    (directory / "templates").symlink_to(ROLE / "templates")
    content = {
        "content": "{{ __nginx_files.values() | join }}",
        "dest": str(directory / "all"),
        "mode": "0644",
    }
    run = run_in(directory, play({"name": "Write", "ansible.builtin.copy": content, "vars": variables}))
    assert run.returncode == 0, run.stdout + run.stderr
    return (directory / "all").read_text()


def test_nobody_is_believed_by_default(tmp_path: Path) -> None:
    """A header that any client can send must not lift a limit."""
    assert not re.search(r"real_ip|proxy_protocol|127\.0\.0\.1:", render(tmp_path, {}))


def test_listed_proxies_are_believed_about_the_header(tmp_path: Path) -> None:
    """And a chain of them is followed to the last one that is not listed."""
    text = render(tmp_path, PROXIES)
    assert re.findall(r"set_real_ip_from (\S+);", text) == PROXIES["nginx_trusted_proxies"]
    assert re.findall(r" real_ip_(\w+) (\S+);", text) == [("header", "X-Forwarded-For"), ("recursive", "on")]
    assert "proxy_protocol" not in text


def test_proxy_protocol_is_asked_for_everywhere_but_from_the_host_itself(tmp_path: Path) -> None:
    """A port that has it in one server has it in all; the kit's own questions come without."""
    text = render(tmp_path, {**PROXIES, "nginx_proxy_protocol": True})
    assert "real_ip_header proxy_protocol;" in text
    for listening in re.findall(r"listen (.*);", text):
        is_own = listening.startswith(("127.0.0.1:", "[::1]:"))
        assert ("proxy_protocol" in listening) is not is_own, listening


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"nginx_proxy_protocol": True}, "nginx_trusted_proxies is empty"),
        ({"nginx_trusted_proxies": ["0.0.0.0/0"]}, "anybody could claim to be any client"),
        ({"nginx_trusted_proxies": ["::/0"]}, "anybody could claim to be any client"),
        (
            {**PROXIES, "nginx_proxy_protocol": True, "nginx_acme_peers": ["192.0.2.7"]},
            "other edges (192.0.2.7)",
        ),
    ],
)
def test_what_cannot_work_is_refused(run_playbook: Play, variables: dict[str, Any], problem: str) -> None:
    """With the reason, before anything is changed."""
    tasks = yaml.safe_load((ROLE / "tasks/proxies.yml").read_text())
    asked = [task | {"vars": variables} for task in tasks]
    run = run_playbook(play(*asked))
    assert run.returncode != 0
    assert problem in " ".join(run.stdout.split()), run.stdout
