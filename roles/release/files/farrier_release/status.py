"""status: what is live, since when, by whom, and what happened last."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from farrier_release import audit, processes
from farrier_release.application import Application
from farrier_release.probe import certificate_of
from farrier_release.storage import disk_used_bytes
from farrier_release.text import one_line
from farrier_release.transition import look_at
from farrier_release.workers import master, workers, wrong_workers

_MEGABYTE = 1024 * 1024


def status(application: Application, *, attempts: int = 5) -> dict[str, Any]:
    """Everything about the application's releases as plain data, and the same for people in `text`."""
    settings, releases = application.configuration, application.releases
    live = releases.live()
    manifest = releases.manifest(live or "") or {}
    service = look_at(application)
    transaction = application.state.read()
    is_watched = transaction is not None and transaction.phase == "watch"
    expires = certificate_of(settings.edge) if settings.edge else None
    in_use = releases.in_use()
    found: dict[str, Any] = {
        "changed": False,
        "app": settings.name,
        "live": live,
        "version": manifest.get("version"),
        "since": _time(manifest.get("activated_at")),
        "by": manifest.get("activated_by"),
        "previous": releases.previous(),
        "python": manifest.get("python", {}).get("version"),
        "service": {"active": service.active, "main_pid": service.main_pid, "restarts": service.restarts}
        if settings.web
        else None,
        "master_release": master(settings.run_directory).get("release"),
        "workers": [
            {
                "pid": worker.pid,
                "release": worker.release,
                "state": worker.state,
                "since": _time(worker.since),
            }
            for worker in workers(settings.run_directory)
        ],
        "processes": processes.status(application),
        "problem": problem(application, live),
        "lease": transaction.describe() if transaction and not is_watched else None,
        "watched": is_watched,
        "releases": [
            {
                "id": name,
                "good": releases.verified(name),
                "live": name == live,
                "in_use": name in in_use,
            }
            for name in reversed(releases.all())
        ],
        "attempts": audit.last(settings, attempts),
        "disk_used_mb": disk_used_bytes(settings.root) // _MEGABYTE,
        "certificate_expires": expires,
        "certificate_days": days_until(expires, datetime.now(UTC)) if expires else None,
    }
    return {**found, "text": [one_line(line) for line in lines(found)]}


def problem(application: Application, live: str | None) -> str:
    """What is not as it should be, or ""."""
    settings = application.configuration
    if live is None:
        return "nothing is live"
    transaction = application.state.read()
    if transaction is not None and transaction.flip and transaction.phase != "watch":
        return f"an activation was interrupted: {application.command} recover"
    if settings.web and not look_at(application).active:
        return f"{settings.service} is not running"
    wrong = wrong_workers(settings.run_directory, live) if settings.web else ""
    return wrong or processes.problem(application, live)


def lines(found: dict[str, Any]) -> list[str]:
    """The status for people."""
    text = [f"{found['app']}: {found['live'] or 'nothing is live'}"]
    if found["problem"] and found["live"]:
        text.append(f"  PROBLEM    {found['problem']}")
    if found["live"]:
        text.append(f"  live       since {found['since']}, by {found['by']}, Python {found['python']}")
        text.append(f"  before it  {found['previous'] or 'nothing to go back to'}")
    for worker in found["workers"]:
        text.append(
            f"  worker     {worker['pid']} {worker['state']} since {worker['since']}, {worker['release']}"
        )
    text += map(_beside, found["processes"])
    if found["lease"]:
        text.append(f"  under way  {found['lease']}")
    for attempt in reversed(found["attempts"]):
        text.append(f"  {_attempt(attempt)}")
    text.append(
        f"  disk       {found['disk_used_mb']} MB in {len(found['releases'])} release(s) and the cache"
    )
    if found["certificate_expires"]:
        text.append(f"  TLS        until {found['certificate_expires']}, {found['certificate_days']} day(s)")
    return text


def _beside(one: dict[str, Any]) -> str:
    """One line of a process or timer."""
    if "timer" in one:
        last = f"last {one['last']}: {one['last_result']}" if one["last"] else "not run yet"
        return f"  timer      {one['timer']} {one['state']}, next {one['next'] or 'never'}, {last}"
    restarts = f", restarted {one['restarts']} time(s)" if one["restarts"] else ""
    since = f"{one['state']} since {_time(one['since'])}"
    return f"  process    {one['process']} {since}, {one['release']}{restarts}"


def days_until(moment: str, now: datetime) -> int:
    """Whole days from `now` to a moment in ISO 8601 with its time zone; negative when it is past."""
    return (datetime.fromisoformat(moment) - now).days


def _attempt(attempt: dict[str, Any]) -> str:
    """One line of the log."""
    what = f"{attempt.get('what', '')} by {attempt.get('who', '')}: {attempt.get('to') or 'nothing'}"
    result = f"{attempt.get('result', '')}{' in ' + attempt['phase'] if attempt.get('phase') else ''}"
    seconds = attempt.get("seconds")
    took = f" ({sum(seconds.values()):.1f} s)" if isinstance(seconds, dict) and seconds else ""
    return f"{attempt.get('at', ''):20} {what}: {result}{took}"


def _time(seconds: float | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None
