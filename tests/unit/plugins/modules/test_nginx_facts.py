"""What the role is told of a host, in a real run of the module, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.playbooks import Play

BUILD = "nginx version: nginx/1.26.3\nconfigure arguments: --with-http_ssl_module --with-http_v2_module"
POLICY = "nginx:\n  Installed: (none)\n  Candidate: {}\n  Version table:\n     1.29.0-1 500\n"
PLAYBOOK = """
- name: Look at the host
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Gather nginx facts
      farrier.kit.nginx_facts:
        users_directory: "{directory}"
        drained_directory: "{directory}"
        unit_record: "{directory}/unit"
    - name: Show the facts
      ansible.builtin.debug:
        msg: "{{{{ ansible_facts['farrier_nginx'].users }}}}"
"""


def test_files_of_passwords_are_the_kits_own(
    run_playbook: Play, tmp_path: Path, load_plugin: Callable[[str, str], Any]
) -> None:
    """What is named here and no app wants is removed: so it is what the filter names, and nothing else."""
    edge = {"paths": {"/": {"users": {"ann": "$6$a"}}}}
    app = {"name": "shop", "path": "/", "edge": edge, "static": {}, "media": {}, "app_paths": []}
    (users,) = load_plugin("filter", "inventory").edge_users(app)
    for name in (users["name"], "mine", "shop-admin", f"{users['name']}.old"):
        (tmp_path / name).touch()
    run = run_playbook(
        PLAYBOOK.format(directory=tmp_path),
        FARRIER_STRATEGY="linear",
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = run.stdout.partition('"msg": [')[2].partition("]")[0]
    assert told.split() == [f'"{users["name"]}"']


def test_what_nginx_was_started_by_is_told_and_whose_its_configuration_is(
    run_playbook: Play, tmp_path: Path
) -> None:
    """By its unit's own word; a file that no package has brought is somebody's."""
    (tmp_path / "unit").write_text("0123\n")
    (tmp_path / "nginx.conf").write_text("user www-data;\n")
    playbook = PLAYBOOK.format(directory=tmp_path)
    playbook = playbook.replace(
        "      farrier.kit.nginx_facts:\n",
        f"""      farrier.kit.nginx_facts:
        directory: "{tmp_path}"
        replaced: [nginx.conf, sites-enabled/default]
""",
    )
    run = run_playbook(playbook.replace("['farrier_nginx'].users", "['farrier_nginx']"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"unit": "0123"' in run.stdout
    assert '"foreign": ["nginx.conf"]' in " ".join(run.stdout.split()).replace("[ ", "[").replace(" ]", "]")


@pytest.fixture
def nginx_facts(load_plugin: Callable[[str, str], ModuleType]) -> ModuleType:
    """Return the module."""
    return load_plugin("modules", "nginx_facts")


@pytest.mark.parametrize(
    ("build", "version", "expected"),
    [
        (f"{BUILD} --with-http_v3_module --with-pcre-jit", "", True),
        (BUILD, "", False),
        ("", "1.26.3", True),
        ("", "1.22.1", False),
        ("", "1.9.15", False),
        ("", "", True),
    ],
    ids=["built with it", "built without", "to come", "too old", "far too old", "unknown to apt"],
)
def test_http3_is_a_matter_of_the_build(
    nginx_facts: ModuleType, build: str, version: str, expected: bool
) -> None:
    """Where there is one to ask: the same version is built with it and without."""
    assert nginx_facts.has_http3(build, version) is expected


@pytest.mark.parametrize(
    ("said", "version"),
    [("1.22.1-9+deb12u11", "1.22.1"), ("2:1.26.3-3", "1.26.3"), ("(none)", "")],
    ids=["Debian's", "with an epoch", "none"],
)
def test_apt_says_what_would_come(nginx_facts: ModuleType, said: str, version: str) -> None:
    """The candidate, not another of its table."""
    assert nginx_facts._last(nginx_facts.CANDIDATE, POLICY.format(said)) == version
