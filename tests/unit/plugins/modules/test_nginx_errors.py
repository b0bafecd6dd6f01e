"""What an edge has answered during a soak is counted in its log, as Ansible asks for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from ansible.module_utils.testing import patch_module_args

EDGE = {"answered_by": "edge", "upstream_status": "502"}


def test_the_last_seconds_of_the_app_count(
    load_plugin: Callable[[str, str], ModuleType],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Errors from before the release went live would undo a good one."""
    module = load_plugin("modules", "nginx_errors")
    now = time.time()
    log = tmp_path / "access.log"
    log.write_text(
        "".join(
            json.dumps({"app": app, "epoch": now - ago, "status": status, **EDGE}) + "\n"
            for app, ago, status in (
                ("shop", 90, 502),
                ("shop", 30, 200),
                ("shop", 20, 200),
                ("shop", 10, 502),
                ("blog", 10, 502),
            )
        )
    )
    with patch_module_args({"app": "shop", "seconds": 60, "log": str(log)}), pytest.raises(SystemExit):
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert {key: result[key] for key in ("requests", "app_errors", "edge_errors", "changed")} == {
        "requests": 3,
        "app_errors": 0,
        "edge_errors": 1,
        "changed": False,
    }
