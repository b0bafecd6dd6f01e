"""A requirements.txt with all that it includes: whether it pins every requirement."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .archive_tree import Tree
from .errors import SourceError

_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*===?\s*[^\s;,*]+\s*(;.*)?")
_DIRECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*@\s*\S+.*")
_INDEX_OPTION = re.compile(
    r"(-i|-f|--(index-url|extra-index-url|find-links|no-index|only-binary|no-binary|prefer-binary))\b"
)
_INCLUDE = re.compile(r"(?P<option>-r|-c|--requirement|--constraint)[\s=]*(?P<name>[^\s=].*)")
_HASH = re.compile(r"\s--hash[= ]\s*\S+")


@dataclass(frozen=True)
class RequirementsList:
    """A list that pins every requirement.

    Args:
        text: of all its files.
        hashes: whether every requirement carries hashes.
    """

    text: str
    hashes: bool


def read(tree: Tree, name: str, how_to_lock: str) -> RequirementsList:
    """Read a list and what it includes.

    Args:
        tree: the source.
        name: path of the list.
        how_to_lock: what to do about one that pins too little, a sentence without its full stop.

    Raises:
        SourceError: a requirement is not pinned, only some carry hashes, or an included file is not there.
    """
    texts: list[str] = []
    hashed = []
    for file, line in _lines(tree, name, texts, ()):
        bare = _HASH.sub("", f" {line}").strip()
        if not (_PINNED.fullmatch(bare) or _DIRECT.fullmatch(bare)):
            raise SourceError(
                f"{file} of {tree.where} does not pin {bare!r} to a version with ==. {how_to_lock}."
            )
        hashed.append("--hash" in line)
    if any(hashed) and not all(hashed):
        raise SourceError(
            f"{name} of {tree.where} has hashes for some requirements and none for others. {how_to_lock}."
        )
    return RequirementsList("\n".join(texts), bool(hashed) and all(hashed))


def _lines(tree: Tree, name: str, texts: list[str], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Requirements of a file and of those that it includes, each with its file; adds their texts."""
    text = tree.text(name)
    if text is None:
        raise SourceError(f"{above[-1]} of {tree.where} includes {name}, which is not in the source.")
    texts.append(text)
    for logical in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*$", "", logical).strip()
        include = _INCLUDE.fullmatch(line)
        if include:
            other = posixpath.normpath(posixpath.join(posixpath.dirname(name), include["name"]))
            if other not in (name, *above):
                lines = list(_lines(tree, other, texts, (*above, name)))
                # Constraints bind what is required elsewhere.
                yield from lines if include["option"] in ("-r", "--requirement") else ()
        elif line and not _INDEX_OPTION.match(line):
            yield name, line
