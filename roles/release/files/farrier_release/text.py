"""Text that programs have written, made fit to be shown."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# All that a terminal takes for an order or for the end of a line, what turns the direction of writing, and
# halves of characters, which cannot be encoded. Not: tab and newline.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text without colours, and with every other character that could steer a terminal written out."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], _COLOURS.sub("", text))


def one_line(text: str) -> str:
    """Printable text that passes for one line alone."""
    return printable(text).replace("\n", r"\n")
