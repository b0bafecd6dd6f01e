"""Tests of the gunicorn package; those of the hand-over run a real master."""
