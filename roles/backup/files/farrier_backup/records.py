"""What is known of the backups of each app: when it was saved, and when a restore of it was proven."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farrier_backup.settings import STATE, Settings, read_json, write_json

HOUR = 3600


@dataclass(frozen=True)
class Report:
    """What status says of an app.

    Args:
        app: its name.
        text: for an operator.
        alarms: what is wrong, if anything.
    """

    app: str
    text: str
    alarms: list[str]


def path_of(app: str, state: Path = STATE) -> Path:
    """Return the file with what is known of an app."""
    return state / "records" / f"{app}.json"


def read(app: str, state: Path = STATE) -> dict[str, Any]:
    """Return what is known of an app."""
    known: dict[str, Any] = read_json(path_of(app, state))
    return known


def note(app: str, key: str, value: Any, state: Path = STATE) -> None:
    """Write down what is known by now: `saved`, `proven`, `carried`, or why that failed since, by `un…`."""
    known = read(app, state)
    known.pop(f"un{key}", None)
    write_json(path_of(app, state), {**known, key: {"at": time.time(), **value}})


def report(app: str, settings: Settings, state: Path = STATE, now: float | None = None) -> Report:
    """Return how old backup and proof of an app are, and whether that is too old.

    Until there is one, the time counts since the repository is known.
    """
    now = time.time() if now is None else now
    known = read(app, state)
    since = read_json(state / "repository.json").get("since", 0.0)
    saved, proven = known.get("saved"), known.get("proven")
    alarms = [
        f"{word} {age(now - at)} ago, more than {limit:g} h" if of else f"{never} for {age(now - at)}"
        for of, word, never, limit in (
            (saved, "saved", "not saved", settings.max_age_hours),
            (proven, "restore proven", "no restore proven", settings.proof_max_age_hours),
        )
        if now - (at := of["at"] if of else since) > limit * HOUR
    ]
    alarms += [
        f"{word} ({age(now - known[key]['at'])} ago): {known[key]['why']}"
        for key, word in (("unsaved", "the last backup failed"), ("unproven", "the last proof failed"))
        if key in known
    ]
    alarms += [
        f"{name} is no sound database: {why}" for name, why in (saved or {}).get("unsound", {}).items()
    ]
    parts = [
        f"saved {age(now - saved['at'])} ago, {size(saved['bytes'])}" if saved else "not saved yet",
        f"restore proven {age(now - proven['at'])} ago" if proven else "no restore proven yet",
    ]
    return Report(app, ", ".join(parts), alarms)


def size(count: float) -> str:
    """Write a number of bytes for an operator."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def age(seconds: float) -> str:
    """Write how long something is ago for an operator."""
    for unit, length in (("d", 86_400), ("h", HOUR), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
