"""Farrier's tests; a package so that `python -m tests.load` runs from the repository's root."""
