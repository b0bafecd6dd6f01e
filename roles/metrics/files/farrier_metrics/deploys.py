"""What is live of an app, and what became of its deploys."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from farrier_metrics.exposition import Sample
from farrier_metrics.reading import json_object, number, open_regular, slug
from farrier_metrics.settings import App, Settings

_PIECE_BYTES = 64 * 1024
# As the record has them, and `rolled_back` for a rollback that went live.
RESULTS = ("live", "rolled_back", "failed", "undone", "abandoned", "broken")


def live_release(app: App, settings: Settings) -> str | None:
    """Return the id of the live release, or None."""
    with suppress(OSError):
        return slug((settings.releases / app.name / "current").readlink().name)
    return None


def samples(app: App, live: str | None, settings: Settings) -> Iterator[Sample]:
    """Yield what is live, since when, and whether a deploy is under way."""
    root = settings.releases / app.name
    if live:
        yield Sample("farrier_release_info", 1, {"app": app.name, "release": live})
        manifest, _ = json_object(root / "releases" / live / ".farrier.json")
        if (since := number(manifest.get("activated_at"))) is not None:
            yield Sample("farrier_release_live_timestamp_seconds", since, {"app": app.name})
    state, _ = json_object(root / ".state.json")
    yield Sample("farrier_deploy_under_way", state.get("transaction") is not None, {"app": app.name})


class Record:
    """The log of an app's deploys, of which only what is new is read."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app.name
        self._path = settings.log / app.name / "deploys.jsonl"
        self._offset = 0
        self._inode = 0
        self._counts: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def samples(self) -> Iterator[Sample]:
        """Yield how many deploys had each result, and when the last one was."""
        self._read()
        for result in RESULTS:
            labels = {"app": self._app, "result": result}
            yield Sample("farrier_deploys_total", self._counts[result], labels)
            if result in self._last:
                yield Sample("farrier_deploy_timestamp_seconds", self._last[result], labels)

    def _read(self) -> None:
        try:
            descriptor = open_regular(self._path)
        except FileNotFoundError:
            return
        with os.fdopen(descriptor, "rb", buffering=_PIECE_BYTES) as file:
            information = os.fstat(file.fileno())
            if information.st_ino != self._inode or information.st_size < self._offset:
                self._inode, self._offset = information.st_ino, 0
            file.seek(self._offset)
            while (line := file.readline(_PIECE_BYTES)).endswith(b"\n") or len(line) == _PIECE_BYTES:
                self._offset += len(line)
                self._take(line)

    def _take(self, line: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            entry = json.loads(line)
            if result := outcome(entry):
                self._counts[result] += 1
                self._last[result] = datetime.fromisoformat(entry["at"]).timestamp()


def outcome(entry: Mapping[str, Any]) -> str | None:
    """Return the result of an attempt, or None if it is none of a release."""
    result = entry["result"]
    if entry["what"] == "restart" or result not in RESULTS:
        return None
    return "rolled_back" if entry["what"] == "rollback" and result == "live" else str(result)
