"""What PostgreSQL says of itself, by the role's status.sql: as a report, and as a plan of a failover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .database_hosts import FAILOVER

Answer = Mapping[str, Any] | None
# Above it, the stop of the primary would wait for the replica for long.
_LAG_MAX_BYTES = 64 * 2**20


def report(answer: Answer, peer: str) -> tuple[str, str]:
    """Return how PostgreSQL does, and what is wrong, as the rest of a sentence; "" if nothing is.

    Args:
        answer: Of the host; None if it does not answer.
        peer: The other database host; "" if there is none.
    """
    if answer is None:
        return "PostgreSQL does not answer", "does not answer. Next: journalctl -u 'postgresql@*' there"
    role = "replica" if answer["is_replica"] else "primary"
    text = (
        f"PostgreSQL {answer['version']}, {role}, {_size(answer['bytes'])}, "
        f"{answer['connections']} of {answer['connections_max']} connections"
    )
    if answer["is_replica"]:
        last = answer["replayed_at"] or "before it was made"
        text += f"; {answer['receiver'] or 'not connected'}, last commit {last}"
        problem = "gets nothing from its primary. Next: /var/log/postgresql/ there"
        return text, "" if answer["receiver"] == "streaming" else problem
    if not peer:
        return text, ""
    if answer["lag_bytes"] is not None:
        waits = ", and commits wait for it" if answer["waits"] else ""
        return f"{text}; {peer} is {_size(answer['lag_bytes'])} behind{waits}; slot {answer['slot']}", ""
    if answer["slot"] == "lost":
        return text, (
            f"has dropped WAL that {peer} has not got: the slot is lost, so that the disk does not fill up. "
            f"Next: {FAILOVER} -e rebuild={peer}"
        )
    return f"{text}; slot {answer['slot']}", f"has no connection from its replica {peer}" + (
        ", and commits wait for it" if answer["waits"] else ""
    )


@dataclass(frozen=True)
class Databases:
    """What a failover has found.

    Attributes:
        primary: The primary; "" if there is none, or two.
        used: The one that app hosts know; "" if there are no app hosts.
        problem: Of `database_hosts.primary`.
        answers: By host; None from one that does not answer.
        silent: App hosts that do not answer.
        is_synchronous: Whether commits have waited for the replica.
    """

    primary: str
    used: str
    problem: str
    answers: Mapping[str, Answer]
    silent: list[str]
    is_synchronous: bool

    def other(self, host: str) -> str:
        """Return the other one of two hosts."""
        return next((one for one in self.answers if one != host), "")

    def failover(self, *, is_dead: bool) -> tuple[str, str, list[str]]:
        """Return the primary that is to come, why it cannot be, and what is going to happen."""
        old = self.primary if self.primary and not (is_dead and self.used) else self.used
        new = self.other(old)
        if problem := self._refusal(old, new) or (
            self._dead_refusal(old, new) if is_dead else self._live_refusal(old, new)
        ):
            return new, problem, []
        return new, "", self._dead_lines(old, new) if is_dead else self._live_lines(old, new)

    def rebuild(self, host: str) -> tuple[str, str, list[str]]:
        """Return the primary that is copied to a host, why that cannot be, and what is going to happen."""
        source = self.other(host)
        if host not in self.answers or not source:
            return "", f"rebuild={host} is none of two hosts of the group database", []
        answer, own = self.answers[source], self.answers[host]
        if answer is None or answer["is_replica"]:
            return source, f"{source} is no primary that answers, so it cannot be copied", []
        if self.used == host:
            return source, f"{host} is what apps use. Its data would be replaced by those of {source}", []
        lines = [f"{source} is copied anew to {host}, which is its replica then."]
        if own is None or not own["is_replica"]:
            lines.append(f"What {host} had as a primary stays in a directory beside, until you remove it.")
        return source, "", lines

    def _live_lines(self, old: str, new: str) -> list[str]:
        lag = _size((self.answers[old] or {})["lag_bytes"])
        return [
            f"{new} becomes the primary, and {old} its replica. {new} is {lag} behind. No commit is lost.",
            "Connections break, and writes pause for some seconds.",
        ]

    def _dead_lines(self, old: str, new: str) -> list[str]:
        answer = self.answers[new] or {}
        last = f"of {answer['replayed_at']}" if answer["replayed_at"] else "older than its copy"
        lost = f"What {old} had after it is lost."
        if self.is_synchronous:
            lost = "None is lost: commits waited for it (postgresql_synchronous)."
        return [
            f"{new} becomes the primary without {old}. It has WAL up to {answer['received']}, and its last "
            f"commit is {last}. {lost}",
            f"If {old} comes back, no app uses it. To make it a replica then: {FAILOVER} -e rebuild={old}",
        ]

    def _refusal(self, old: str, new: str) -> str:
        if len(self.answers) < 2:
            return "No host can take its place: the group database has no second one"
        if self.silent:
            return f"{', '.join(self.silent)} cannot be led to another primary without an answer from there"
        if not old:
            return self.problem or "It is not known which host was the primary"
        if self.answers[new] is None:
            return f"PostgreSQL on {new} does not answer, so it cannot take over"
        return ""

    def _live_refusal(self, old: str, new: str) -> str:
        answer, to = self.answers[old], self.answers[new] or {}
        if self.problem:
            return self.problem
        if answer is None:
            return f"PostgreSQL on {old} does not answer. Start it. If it is dead: {FAILOVER} -e primary=dead"
        lag = answer["lag_bytes"]
        if lag is None or to["receiver"] != "streaming":
            return f"{new} does not stream from {old}. Next: ansible-playbook farrier.kit.status"
        return f"{new} is {_size(lag)} behind. Wait until it has caught up" if lag > _LAG_MAX_BYTES else ""

    def _dead_refusal(self, old: str, new: str) -> str:
        answer = self.answers[old]
        if answer is not None and not answer["is_replica"]:
            return (
                f"PostgreSQL on {old} answers, so it is not dead. Leave out -e primary=dead, or stop it there"
            )
        return ""


def _size(count: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
