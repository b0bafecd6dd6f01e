"""Screen output of a run: how far it is, what changed, why it failed, and where the time went."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from ansible import constants as C  # noqa: N812  # the name that all of Ansible uses
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible_collections.farrier.kit.plugins.plugin_utils.output import (
    clock,
    failure_text,
    hint_for,
    indented,
    plain_text,
)

DOCUMENTATION = """
    name: farrier
    type: stdout
    short_description: progress, readable failures, and the slow tasks at the end
    description:
        - One line per task with its number, how many there are as far as known, and the time since the start.
        - Hosts where nothing changed are counted on that line; changes and failures get lines of their own.
        - Tasks tagged C(phase_NAME) are summed up in a table of phases at the end.
        - Data of M(ansible.builtin.set_stats) is shown at the end.
    extends_documentation_fragment:
        - default_callback
        - result_format_callback
    requirements:
        - C(stdout_callback = farrier.kit.farrier) in ansible.cfg
"""

PHASE_TAG = "phase_"
SLOW_SECONDS = 1.0
SLOW_TASKS_SHOWN = 5


def count_in_blocks(blocks: Iterable[Any], play: Any) -> int:
    """Count the tasks of compiled blocks that run if nothing fails."""
    count = 0
    for item in blocks:
        if isinstance(item, Block):
            count += count_in_blocks([*item.block, *item.always], play)
        elif not item.implicit:
            count += bool(item.evaluate_tags(play.only_tags, play.skip_tags, all_vars={}))
    return count


def count_in_file(content: object) -> int:
    """Count the tasks of a loaded task file in the same way."""
    count = 0
    for item in content if isinstance(content, list) else []:
        if "block" in item:
            count += count_in_file(item["block"]) + count_in_file(item.get("always"))
        else:
            count += 1
    return count


def name_of(task: Any) -> str:
    """Return the name of a task, with its role but without the collection of the kit."""
    return str(task.get_name()).strip().removeprefix("farrier.kit.")


class CallbackModule(DefaultCallback):
    """The default callback with other lines."""

    CALLBACK_NAME = "farrier"

    def __init__(self) -> None:
        """Begin without a play."""
        super().__init__()
        self._begin = time.monotonic()
        self._task_begin = self._begin
        self._task: Any = None
        self._line_is_open = False
        self._number = 0
        self._total = 0
        self._quiet_hosts: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._seconds_by_task: defaultdict[str, float] = defaultdict(float)
        self._seconds_by_phase: defaultdict[str, float] = defaultdict(float)

    # Progress

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Count the tasks of the play, and leave what is loaded out of garbage collection."""
        self._finish_task()
        # Each task has a forked process: a collection there would copy all that the controller has loaded.
        gc.freeze()
        super().v2_playbook_on_play_start(play)
        gathers = play.gather_facts
        if gathers is None:
            gathers = C.DEFAULT_GATHERING != "explicit"
        self._number = 0
        self._total = bool(gathers) + count_in_blocks(play.compile(), play)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Count what an include adds, which nobody knew before."""
        if not getattr(included_file, "_is_role", False):
            self._total += count_in_file(DataLoader().load_from_file(included_file._filename))

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        self._finish_task()
        self._task, self._task_begin = task, time.monotonic()
        if prefix == "RUNNING HANDLER":
            place = "handler"
        else:
            self._number += 1
            self._total = max(self._total, self._number)
            place = f"{self._number}/{self._total}"
        title = f"TASK {place} {clock(self._task_begin - self._begin)} [{name_of(task)}]"
        if task.check_mode and self.get_option("check_mode_markers"):
            title += " [CHECK MODE]"
        self._display.display(title, newline=False)
        # Without a line end the terminal would show it only when the task is over.
        sys.stdout.flush()
        self._line_is_open = True
        self._last_task_banner = task._uuid
        if self._display.verbosity >= 2:
            self._close_line()
            self._print_task_path(task)

    def _close_line(self, end: str = "") -> None:
        if self._line_is_open:
            self._display.display(end)
            self._line_is_open = False

    def _finish_task(self) -> None:
        """End the line of a task without news with what its hosts were, and note its time."""
        if self._task is None:
            return
        states = ", ".join(
            state if count == 1 else f"{state} {count}" for state, count in self._quiet_hosts.items()
        )
        self._close_line(f" {states}" if states else "")
        self._quiet_hosts.clear()
        self._tries.clear()
        seconds = time.monotonic() - self._task_begin
        self._seconds_by_task[name_of(self._task)] += seconds
        for tag in self._task.tags:
            if str(tag).startswith(PHASE_TAG):
                self._seconds_by_phase[str(tag).removeprefix(PHASE_TAG)] += seconds
        self._task = None

    # Results

    def _is_quiet(self, result: Any) -> bool:
        news = ("changed", "warnings", "deprecations")
        return self._display.verbosity == 0 and not any(result.result.get(key) for key in news)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Count a host without news; show the others, and what a debug task has to say."""
        is_debug = result.task.action in C._ACTION_DEBUG
        if result.result.get("problem"):
            self._quiet_hosts[f"PROBLEM on {result.host.get_name()}"] += 1
            return
        if isinstance(result.task, TaskInclude) or (self._is_quiet(result) and not is_debug):
            self._quiet_hosts["ok"] += 1
            return
        self._close_line()
        if is_debug and "msg" in result.result and not result.task.loop:
            self._show_message(result)
            return
        super().v2_runner_on_ok(result)

    def _show_message(self, result: Any) -> None:
        self._close_line()
        self._handle_warnings_and_exception(result)
        self._display.display(indented(plain_text(result.result["msg"])), color=C.COLOR_OK)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Count a host that skipped the task."""
        if self._is_quiet(result):
            self._quiet_hosts["skipped"] += 1
            return
        self._close_line()
        super().v2_runner_on_skipped(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Show an item that has news."""
        if result.task.action in C._ACTION_DEBUG and "msg" in result.result:
            self._show_message(result)
        elif not self._is_quiet(result):
            self._close_line()
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Show a skipped item on request only."""
        if not self._is_quiet(result):
            self._close_line()
            super().v2_runner_item_on_skipped(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show the reason as text."""
        if not (result.task.loop and "results" in result.result):
            self._show_failure(result, f"fatal: [{self.host_label(result)}]: FAILED!")
        if ignore_errors:
            self._display.display("...ignoring", color=C.COLOR_SKIP)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Show the reason of one item as text."""
        item = self._get_item_label(result.result)
        self._show_failure(result, f"failed: [{self.host_label(result)}] (item={item})")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Show why a host cannot be reached, and how to find out more."""
        self._show_failure(result, f"fatal: [{self.host_label(result)}]: UNREACHABLE!", C.COLOR_UNREACHABLE)
        command = f"ansible {result.host.get_name()} -m ansible.builtin.ping -vvv"
        self._display.display(f"    to look closer: {command}", color=C.COLOR_UNREACHABLE)
        if result.task.ignore_unreachable:
            self._display.display("...ignoring", color=C.COLOR_SKIP)

    def _show_failure(self, result: Any, title: str, color: str = C.COLOR_ERROR) -> None:
        self._close_line()
        data = result.result
        text = failure_text(data)
        hint = hint_for(text, unreachable=bool(data.get("unreachable")))
        on_stderr = self.get_option("display_failed_stderr")
        # What the controller found wrong in a playbook comes with the lines of the file, which say more.
        is_playbook_mistake = str(data.get("msg", "")).startswith("Task failed:") and not hint
        if "exception" in data and (is_playbook_mistake or self._display.verbosity >= 3):
            self._handle_exception(data, use_stderr=on_stderr)
            text = "see the error above"
        self._handle_warnings(data)
        place = result.task.get_path()
        lines = [
            title,
            indented(text),
            f"    hint: {hint}" if hint else "",
            f"    at {place}" if place else "",
        ]
        self._display.display("\n".join(filter(None, lines)), color=color, stderr=on_stderr)
        if self._display.verbosity >= 2:
            self._display.display(self._dump_results(data), color=color, stderr=on_stderr)

    def v2_on_file_diff(self, result: Any) -> None:
        """Show differences below the task."""
        if result.result.get("changed"):
            self._close_line()
        super().v2_on_file_diff(result)

    def v2_runner_retry(self, result: Any) -> None:
        """Say that a task waits for its condition."""
        self._close_line()
        tried = f"{self.host_label(result)} {result.result.get('item', '')}"
        # Counted here: the result's own `attempts` is one more in ansible-core 2.21.
        self._tries[tried] += 1
        left = result.result["retries"] - self._tries[tried]
        self._display.display(f"waiting: [{self.host_label(result)}] {left} more tries", color=C.COLOR_DEBUG)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """Show a poll on request only."""
        if self._display.verbosity > 0:
            self._close_line()
            super().v2_runner_on_async_poll(result)

    def v2_runner_on_async_ok(self, result: Any) -> None:
        """Show the end of a background job on request only."""
        if self._display.verbosity > 0:
            self._close_line()
            super().v2_runner_on_async_ok(result)

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """End the line of the last task."""
        self._finish_task()
        super().v2_playbook_on_no_hosts_remaining()

    # End

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show phases, slow tasks and what the playbook reports, then the recap."""
        self._finish_task()
        if self._seconds_by_phase:
            self._display.banner("PHASES")
            self._show_seconds(self._seconds_by_phase.items())
        slowest = sorted(self._seconds_by_task.items(), key=lambda entry: -entry[1])[:SLOW_TASKS_SHOWN]
        slow = [entry for entry in slowest if entry[1] >= SLOW_SECONDS]
        if slow:
            self._display.banner("SLOWEST TASKS")
            self._show_seconds(slow)
        for host, data in stats.custom.items():
            self._display.banner("RESULT" if host == "_run" else f"RESULT [{host}]")
            self._display.display(indented(plain_text(data)))
        super().v2_playbook_on_stats(stats)
        self._display.display(f"elapsed: {clock(time.monotonic() - self._begin)}")

    def _show_seconds(self, entries: Iterable[tuple[str, float]]) -> None:
        for name, seconds in entries:
            self._display.display(f"{seconds:8.1f} s  {name}")
