"""What a directory holds, in a form that two machines can compare."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digests(root: Path) -> dict[str, str]:
    """SHA-256 of every regular file below a directory by its relative name; compiled Python is left out."""
    if not root.is_dir():
        return {}
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if "__pycache__" not in name.parts and path.is_file() and not path.is_symlink():
            found[name.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
