"""The screen output: numbers, silence about what is fine, readable failures, and the tables at the end."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.unit.playbooks import Play, Run, run_in

OUTPUT = {"ANSIBLE_STDOUT_CALLBACK": "farrier.kit.farrier", "FARRIER_STRATEGY": "linear"}

CALM = """
- name: Calm
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: Nothing changes
      ansible.builtin.command: "true"
      changed_when: false
    - name: Skipped
      ansible.builtin.debug: {msg: never}
      when: inventory_hostname == "nobody"
    - name: More tasks
      ansible.builtin.include_tasks: more.yml
    - name: A person reads this
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: ["first line\\nsecond line", third]
      run_once: true
    - name: A tag that is not asked for
      ansible.builtin.debug: {msg: never}
      tags: never
    - name: Built
      ansible.builtin.command: "true"
      changed_when: false
      tags: phase_build
    - name: Reported
      ansible.builtin.set_stats:
        data: {observatory: "20251120T101010Z-abc is live"}
      run_once: true
"""

MORE = """
- name: Inside
  block:
    - name: Included
      ansible.builtin.command: "true"
      changed_when: false
"""

BUSY = """
- name: Busy
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: A file is there
      ansible.builtin.copy: {content: "new\\n", dest: "{{ playbook_dir }}/made", mode: "0644"}
      diff: true
    - name: Several
      ansible.builtin.command: "echo {{ item }}"
      loop: [quiet, loud]
      changed_when: item == "loud"
    - name: It waits
      ansible.builtin.command: "false"
      register: attempt
      until: attempt.rc == 0
      retries: 1
      delay: 0
      changed_when: false
      failed_when: false
    - name: A secret fails
      ansible.builtin.command: sh -c 'echo hunter2; exit 1'
      no_log: true
      changed_when: false
      ignore_errors: true
    - name: An undefined variable
      ansible.builtin.command: "echo {{ nowhere }}"
      changed_when: false
      ignore_errors: true
    - name: Rescued
      block:
        - name: It breaks
          ansible.builtin.fail: {msg: broken}
      rescue:
        - name: It is mended
          ansible.builtin.command: "true"
          changed_when: false
    - name: It fails
      ansible.builtin.fail:
        msg: "What broke.\\n\\nRun this: \\"make again\\""
"""

TWO_HOSTS = "all: {hosts: {web1: {}, web2: {}}}\n"


@pytest.fixture
def callback(load_plugin: Callable[[str, str], ModuleType]) -> ModuleType:
    """Return the plugin's module."""
    return load_plugin("callback", "farrier")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return one run in which everything happens."""
    return run_in(tmp_path_factory.mktemp("busy"), BUSY, **OUTPUT)


def test_calm_run_is_one_line_a_task(run_playbook: Play, tmp_path: Path) -> None:
    """Number, total as far as known, time and name; hosts without news are counted, not listed."""
    (tmp_path / "more.yml").write_text(MORE)
    run = run_playbook(CALM, hosts=TWO_HOSTS, **OUTPUT)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [re.sub(r" \d:\d\d ", " 0:00 ", line) for line in run.stdout.splitlines() if line.strip()]
    start = next(number for number, line in enumerate(lines) if line.startswith("TASK"))
    assert lines[start : start + 10] == [
        "TASK 1/6 0:00 [Nothing changes] ok 2",
        "TASK 2/6 0:00 [Skipped] skipped 2",
        "TASK 3/6 0:00 [More tasks] ok 2",
        "TASK 4/7 0:00 [Included] ok 2",
        "TASK 5/7 0:00 [A person reads this]",
        "    first line",
        "    second line",
        "    third",
        "TASK 6/7 0:00 [Built] ok 2",
        "TASK 7/7 0:00 [Reported] ok",
    ]
    assert "never" not in run.stdout


def test_end_shows_phases_result_recap_and_time(run_playbook: Play) -> None:
    """A deploy ends with where its time went, what is live, and the recap in Ansible's own form."""
    run = run_playbook(
        CALM.replace("ansible.builtin.include_tasks: more.yml", "ansible.builtin.ping:"), **OUTPUT
    )
    assert run.returncode == 0, run.stdout + run.stderr
    end = run.stdout[run.stdout.index("PHASES") :]
    assert re.search(r"PHASES \*+\n +\d+\.\d s  build\n", end)
    assert "RESULT ***" in end
    assert "    observatory: 20251120T101010Z-abc is live\n" in end
    assert re.search(r"localhost +: ok=5 +changed=0 +unreachable=0 +failed=0 +skipped=1", end)
    assert re.search(r"\nelapsed: 0:\d\d\n$", end)


def test_changes_and_failures_stand_out(busy: Run) -> None:
    """A change has a line that molecule's idempotence check reads; a failure is plain text."""
    assert busy.returncode != 0
    output = busy.stdout
    assert re.search(
        r"TASK 1/7 \S+ \[A file is there\]\n--- before\n\+\+\+ after: .*made\n.*\n\+new\n", output
    )
    assert "\nchanged: [localhost]\n" in output
    assert "\nchanged: [localhost] => (item=loud)\n" in output
    assert "quiet" not in output
    assert re.findall(r"TASK (\d+/\d+) ", output)[-3:] == ["6/7", "7/7", "8/8"]
    assert "\nwaiting: [localhost] 1 more tries\n" in output
    assert 'fatal: [localhost]: FAILED!\n    What broke.\n\n    Run this: "make again"\n    at ' in output
    assert re.search(r"localhost +: ok=6 +changed=2 .*failed=1 .*ignored=2", output)


def test_no_log_is_respected(busy: Run) -> None:
    """The failure of a task with secrets shows that it failed, and nothing else."""
    output = busy.stdout + busy.stderr
    assert "hunter2" not in output
    assert re.search(
        r"\[A secret fails\]\nfatal: \[localhost\]: FAILED!\n    the output has been hidden", output
    )


def test_mistake_of_a_playbook_shows_its_lines(busy: Run) -> None:
    """An undefined variable is pointed at in the file, once."""
    assert "'nowhere' is undefined\nOrigin: " in busy.stdout
    assert "fatal: [localhost]: FAILED!\n    see the error above\n" in busy.stdout


def test_unreachable_host_comes_with_a_command(run_playbook: Play) -> None:
    """The reason, and how to look closer."""
    hosts = "all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 18599, ansible_connection: ssh}}}\n"
    run = run_playbook(CALM.replace("  connection: local\n", ""), hosts=hosts, **OUTPUT)
    assert re.search(r"fatal: \[gone\]: UNREACHABLE!\n    .*Connection refused", run.stdout)
    assert "    hint: SSH does not answer there" in run.stdout
    assert "    to look closer: ansible gone -m ansible.builtin.ping -vvv" in run.stdout


def test_unreachable_host_in_a_loop_has_its_reason(run_playbook: Play) -> None:
    """Not the words that Ansible has for the loop as a whole."""
    hosts = "all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 18599, ansible_connection: ssh}}}\n"
    play = "- {hosts: all, gather_facts: false, tasks: [{ansible.builtin.ping: , loop: [one, two]}]}\n"
    run = run_playbook(play, hosts=hosts, **OUTPUT)
    assert re.search(r"fatal: \[gone\]: UNREACHABLE!\n    .*Connection refused", run.stdout)
    assert "All items completed" not in run.stdout


def test_verbose_output_is_the_default_one(run_playbook: Play) -> None:
    """With -v nothing is held back."""
    run = run_playbook(BUSY, "-v", **OUTPUT)
    assert 'ok: [localhost] => (item=quiet) => {"' in run.stdout


def test_tasks_of_a_file_are_counted(callback: ModuleType) -> None:
    """Blocks count by what runs if nothing fails; a meta task has a line, too."""
    tasks = [
        {"name": "a", "ansible.builtin.ping": None},
        {
            "block": [{"ansible.builtin.ping": None}],
            "rescue": [{}, {}],
            "always": [{"ansible.builtin.ping": None}],
        },
        {"ansible.builtin.meta": "reset_connection"},
    ]
    assert callback.count_in_file(tasks) == 4
    assert callback.count_in_file(None) == 0


def test_processes_of_tasks_do_not_collect_what_the_controller_loaded(
    callback: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each collection took longer than the task it came in: a sixth of a run that changes nothing."""
    monkeypatch.setattr(callback.DefaultCallback, "v2_playbook_on_play_start", lambda *_: None)
    play = SimpleNamespace(gather_facts=False, compile=list)
    gc.unfreeze()
    try:
        callback.CallbackModule().v2_playbook_on_play_start(play)
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
