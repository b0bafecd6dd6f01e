"""What the debug log of Alertmanager says of messages that it sends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
# The paths of receivers are secrets.
_URL = re.compile(r"(https?://[^/\s\"\\]+)[^\s\"\\]*")


@dataclass
class Outcomes:
    """What has become of the messages to each receiver.

    Attributes:
        taken: Receivers that have taken one.
        refused: The last reason of those that have not, by name.
        given_up: Those that Alertmanager does not ask again.
    """

    taken: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)

    def is_final(self, name: str) -> bool:
        """Tell whether nothing more comes of the message to a receiver."""
        return name in self.taken | self.given_up

    def failure(self, name: str) -> str:
        """Return why a receiver has not taken its message."""
        return self.refused.get(name, "no answer in time")


def outcomes(log: str) -> Outcomes:
    """Return what a log says, of whatever version of Alertmanager."""
    found = Outcomes()
    for line in log.splitlines():
        said = {key: _unquoted(value) for key, value in _PAIR.findall(line)}
        message, reason = said.get("msg"), _URL.sub(r"\1/…", said.get("err", ""))
        name = said.get("receiver") or reason.partition("/")[0]
        if message == "Notify success":
            found.taken.add(name)
        elif message == "Notify attempt failed, will retry later":
            found.refused[name] = reason
        elif message == "Notify for alerts failed":
            found.refused[name] = reason.partition(": ")[2] or reason
            found.given_up.add(name)
    return found


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])
