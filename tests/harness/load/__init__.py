"""The load harness: proves that nothing is dropped. See README.md in this directory."""

from .load import Load, LoadError, Report

__all__ = ["Load", "LoadError", "Report"]
