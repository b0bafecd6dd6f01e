"""Keeps the values of an application's environment out of all that this tool keeps or shows.

Errors quote what they stumbled over: pydantic shows the input that it refuses, drivers show the address that
they could not reach. What goes into a log, a result or a terminal of an application's text goes through here.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from farrier_release.config import RELEASE_PATTERN, Configuration
from farrier_release.storage import read_json
from farrier_release.text import printable

# Shorter ones are in every text by chance.
_MIN_LENGTH = 4
# A line of a longer value, such as a private key. Shorter ones say little.
_LINE_MIN_LENGTH = 12
# Up to this length only whole words are masked: `info` stays in `information`.
_WORD_MAX_LENGTH = 8
# pydantic shows the beginning and the end of a long input, and this in between.
_CUT = re.compile(r"\.\.\.|…")
_CUT_MAX_LENGTH = 64
# Keys of results and of the log. A version may be in an app's environment, and in the id of a release.
_FOR_PEOPLE = frozenset({"error", "live_problem", "log", "message", "problem", "text", "why"})
_NO_SECRETS = frozenset({"true", "false", "none", "null", "localhost", "127.0.0.1"})


class Masking:
    """Replaces values by the names of their variables: `***DATABASE_URL***`.

    Args:
        environment: names and values; one name may have several.
    """

    def __init__(self, environment: Iterable[tuple[str, Any]]) -> None:
        self._names: dict[str, str] = {}
        for name, value in environment:
            for form in _forms(str(value)):
                self._names.setdefault(form, name)
        longest_first = sorted(self._names, key=len, reverse=True)
        expressions = [RELEASE_PATTERN.pattern, *map(_expression, longest_first)]
        self._pattern = re.compile("|".join(expressions)) if longest_first else None

    def text(self, text: str) -> str:
        """A text in which no value is left, nor anything that steers a terminal."""
        if self._pattern is not None:
            text = self._pattern.sub(self._replacement, text)
            text = self._without_pieces(text)
        return printable(text)

    def data(self, data: Any, *, is_text: bool = False) -> Any:
        """The same for what plain data has for people; what programs read of it stays."""
        if isinstance(data, dict):
            return {
                key: self.data(value, is_text=is_text or key in _FOR_PEOPLE) for key, value in data.items()
            }
        if isinstance(data, (list, tuple)):
            return [self.data(item, is_text=is_text) for item in data]
        return self.text(data) if is_text and isinstance(data, str) else data

    def _replacement(self, match: re.Match[str]) -> str:
        name = self._names.get(match[0])
        return f"***{name}***" if name else match[0]

    def _without_pieces(self, text: str) -> str:
        """Mask what is left of a value that somebody has cut in its middle."""
        pieces: list[str] = []
        end = 0
        for cut in _CUT.finditer(text):
            before, after = text[end : cut.start()], text[cut.end() : cut.end() + _CUT_MAX_LENGTH]
            pieces.append(self._without_end(before))
            taken, name = self._longest_end(after)
            pieces += [cut[0], f"***{name}***" if taken else ""]
            end = cut.end() + taken
        return "".join([*pieces, text[end:]])

    def _without_end(self, text: str) -> str:
        for length in range(min(_CUT_MAX_LENGTH, len(text)), _MIN_LENGTH - 1, -1):
            for form, name in self._names.items():
                if len(form) > length and text.endswith(form[:length]):
                    return f"{text[:-length]}***{name}***"
        return text

    def _longest_end(self, text: str) -> tuple[int, str]:
        for length in range(len(text), _MIN_LENGTH - 1, -1):
            for form, name in self._names.items():
                if len(form) > length and text.startswith(form[-length:]):
                    return length, name
        return 0, ""


def masking_of(configuration: Configuration) -> Masking:
    """The masking of an application: all that only root and itself may know, and what its builds know."""
    known = list(configuration.build_environment.items())
    # Also what a deploy under way has brought.
    for path in sorted(configuration.gunicorn_settings.parent.glob("environment*.json")):
        known += (read_json(path) or {}).items()
    # A database, and its role, may have the name of the app, which is in every line.
    return Masking((name, value) for name, value in known if value != configuration.name)


def _forms(value: str) -> Iterator[str]:
    """A value as it is, and as it is commonly written down."""
    secrets = {value}
    if len(value.splitlines()) > 1:
        secrets |= {line for line in value.splitlines() if len(line) >= _LINE_MIN_LENGTH}
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        password = None
    if password:
        secrets |= {password, unquote(password)}
    for secret in secrets:
        if len(secret) < _MIN_LENGTH or secret.lower() in _NO_SECRETS or _is_path(secret):
            continue
        data = secret.encode(errors="surrogateescape")
        encoded = {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
        yield from {
            secret,
            repr(secret)[1:-1],
            ascii(secret)[1:-1],
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            html.escape(secret),
            quote(data),
            quote(data, safe=""),
            quote_plus(data),
            *encoded,
            *(one.rstrip("=") for one in encoded),
        }


def _is_path(value: str) -> bool:
    """Whether it is the path of something on this host, which tells nobody anything."""
    try:
        return value.startswith("/") and Path(value).exists()
    except (OSError, ValueError):
        return False


def _expression(form: str) -> str:
    if len(form) > _WORD_MAX_LENGTH:
        return re.escape(form)
    return rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])"
