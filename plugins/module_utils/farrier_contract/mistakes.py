"""What is wrong with one value of an inventory, and the way out."""

from __future__ import annotations

from dataclasses import dataclass, field


class MistakeError(ValueError):
    """Raised by the checks of single values; ends up in a :class:`Problem`.

    Args:
        what: What is wrong, as the rest of a sentence that begins with the value ("has no dot").
        fix: What to write instead.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix


class Hidden(str):
    """A text that no message may show, as a vaulted value is."""

    __slots__ = ()


@dataclass(frozen=True)
class Unresolved:
    """Stands where a template or a vaulted value could not be resolved."""

    what: str
    fix: str


@dataclass
class Problem:
    """One line of the report.

    Attributes:
        subject: Whose mistake it is: "app observatory", "group app", "ansible-core".
        key: The key in dots ("source.git"), or "" when the subject as a whole is wrong.
        value: The value as it may be shown, or "" when there is none or it is not to be shown.
        what: What is wrong.
        fix: What to do.
        location: "file:line" of the value, or "" where it is not known.
        hosts: The hosts that have this problem; empty when it concerns no host in particular.
    """

    subject: str
    key: str
    value: str
    what: str
    fix: str
    location: str = ""
    hosts: list[str] = field(default_factory=list)


def merge(problems: list[Problem]) -> list[Problem]:
    """Join problems that differ only in the host, in the order in which they were found."""
    merged: dict[tuple[str, ...], Problem] = {}
    for problem in problems:
        identity = (
            problem.subject,
            problem.key,
            problem.value,
            problem.what,
            problem.fix,
            problem.location,
        )
        known = merged.setdefault(identity, problem)
        known.hosts.extend(host for host in problem.hosts if host not in known.hosts)
    return list(merged.values())


def render(problems: list[Problem]) -> str:
    """Write the problems as one text for a person: app, key, value, what is wrong, fix and place."""
    count = len(problems)
    heading = "The inventory has one mistake" if count == 1 else f"The inventory has {count} mistakes"
    parts = [f"{heading}; no host was touched."]
    for number, problem in enumerate(problems, start=1):
        title = ", ".join(filter(None, [problem.subject, problem.key and f"key {problem.key}"]))
        statement = f"{problem.value} {problem.what}" if problem.value else problem.what
        location = f"at {problem.location}" if problem.location else ""
        hosts = f"(hosts: {', '.join(problem.hosts)})" if problem.hosts else ""
        place = f"{location} {hosts}".strip()
        lines = [f"{number}. {title}: {statement}", f"   fix: {problem.fix}", f"   {place}"]
        parts.append("\n".join(line for line in lines if line.strip()))
    return "\n\n".join(parts)
