"""A release that answers with errors is not given to more hosts: what counts as one."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.farrier.kit.plugins.module_utils.edge import answers


def line(status: int, *, app: str = "shop", epoch: float = 100.0, by: str = "app", asked: str = "500") -> str:
    """Return a line of nginx's log."""
    entry = {"app": app, "epoch": epoch, "status": status, "answered_by": by, "upstream_status": asked}
    return json.dumps(entry) + "\n"


def test_only_the_apps_own_answers_since_then_count() -> None:
    """Another app's trouble, or that of an hour ago, is not this release's, and no line ends the count."""
    lines = [
        line(200),
        line(404),
        line(502),
        line(500),
        line(500, app="other"),
        line(500, epoch=99.9),
        line(500).replace("epoch", "other"),
        line(500).replace("status", "other"),
        "cut sh",
        "7",
    ]
    assert answers.count(lines, "shop", 100.0) == answers.Counted(4, app_errors=2)


def test_the_apps_errors_are_told_from_those_of_the_edge() -> None:
    """A release that raises and one that dies need other cures. Maintenance is no error of a release."""
    lines = [
        line(500),
        line(502),  # an app may say so, too
        line(502, by="edge", asked="502"),
        line(504, by="edge", asked="502, 504"),
        line(503, by="edge", asked=""),
        line(404, by="edge", asked=""),
    ]
    assert answers.count(lines, "shop", 0) == answers.Counted(6, app_errors=2, edge_errors=2)


def test_only_whole_lines_of_the_end_are_read(tmp_path: Path) -> None:
    """A log of a busy day is larger than anyone wants to read during a deploy."""
    log = tmp_path / "access.log"
    assert list(answers.tail(log)) == []
    log.write_text("".join(line(status) for status in range(500, 510)))
    length = len(line(500))
    assert [json.loads(text)["status"] for text in answers.tail(log, 2 * length + 5)] == [508, 509]
    assert len(list(answers.tail(log))) == 10


def test_bytes_that_are_no_text_are_read_over(tmp_path: Path) -> None:
    """nginx logs the path as the client has sent it; whoever sends 0xff must not end a deploy."""
    log = tmp_path / "access.log"
    log.write_bytes(line(502).encode().replace(b"}", b', "path": "/\xff"}'))
    assert answers.count(answers.tail(log), "shop", 0) == answers.Counted(1, app_errors=1)
