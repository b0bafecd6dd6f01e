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
        is_warning: Whether a run goes on nevertheless.
    """

    subject: str
    key: str
    value: str
    what: str
    fix: str
    location: str = ""
    hosts: list[str] = field(default_factory=list)
    is_warning: bool = False

    def lines(self) -> list[str]:
        """Return app, key, value and what is wrong; the fix; and the place where it is known."""
        title = ", ".join(filter(None, [self.subject, self.key and f"key {self.key}"]))
        statement = f"{self.value} {self.what}" if self.value else self.what
        location = f"at {self.location}" if self.location else ""
        hosts = f"(hosts: {', '.join(self.hosts)})" if self.hosts else ""
        return list(
            filter(None, [f"{title}: {statement}", f"fix: {self.fix}", f"{location} {hosts}".strip()])
        )


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
        parts.append(f"{number}. " + "\n   ".join(problem.lines()))
    return "\n\n".join(parts)
