"""Farrier's tests; a package so that `python -m tests.harness.load` runs from the repository's root."""
