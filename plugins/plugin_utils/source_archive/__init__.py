"""Makes one reproducible archive of an application's source, from a directory, a git repository or another
archive.

Works on the controller alone. The same content always gives the same archive, whose name is its SHA-256.
"""

from __future__ import annotations

from .completions import keep as keep_completion
from .errors import SourceError
from .make import Archive, make_archive

__all__ = ["Archive", "SourceError", "keep_completion", "make_archive"]
