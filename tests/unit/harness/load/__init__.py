"""The load harness against servers that misbehave on purpose."""
