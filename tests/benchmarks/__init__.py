"""Benchmarks: each measures two things in turn, in one run, and prints their ratio."""
