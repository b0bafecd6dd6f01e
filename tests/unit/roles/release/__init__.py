"""Tests of the release tool and of what brings a source to it."""
