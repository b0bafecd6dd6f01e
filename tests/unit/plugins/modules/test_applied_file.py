"""Files that a command refuses are not written, nor are those beside them."""

from __future__ import annotations

import grp
import os
from pathlib import Path

from tests.unit.playbooks import Play

PLAYBOOK = """
- name: Write
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: Write a file and one that it refers to
      farrier.kit.applied_file:
        files:
          - {dest: "%(place)s/part", content: "%(part)s", group: "%(group)s"}
          - dest: "%(place)s/whole"
            content: part
            group: "%(group)s"
            validate:
              - sh
              - -c
              - 'grep good "$(dirname "$0")/$(cat "$0")" || { echo no good in $0 >&2; exit 1; }'
              - "%%s"
"""


def playbook(place: Path, part: str) -> str:
    """Return the playbook for what is in the part."""
    return PLAYBOOK % {"place": place, "part": part, "group": grp.getgrgid(os.getgid()).gr_name}


def test_a_file_is_checked_with_those_that_it_refers_to(run_playbook: Play, tmp_path: Path) -> None:
    """The failure names it, what refuses it, and why."""
    place = tmp_path / "etc"
    good = run_playbook(playbook(place, "good"))
    assert good.returncode == 0, good.stdout + good.stderr
    assert (place / "whole").read_text() == "part"

    bad = run_playbook(playbook(place, "bad"))
    assert bad.returncode != 0
    told = f"{place}/whole would be wrong, says sh. Nothing was changed. no good in {place}/whole"
    assert told in bad.stdout.replace("\n", " ")
    assert (place / "part").read_text() == "good"
