"""What the role is told of a host, in a real run of the module, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.playbooks import Play

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
    app = {"name": "shop", "edge": {"paths": {"/": {"users": {"ann": "$6$a"}}}}, "static": {}}
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
