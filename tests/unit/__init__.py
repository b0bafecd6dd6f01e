"""Unit tests; a package so that those of the load harness find it from the repository's root."""
