"""Whether there are as many notes as a file says, if there is one."""

import sys

import main

expected = main.STATE / "uploads" / "expected"
(count,) = main.notes.execute("SELECT count(*) FROM notes").fetchone()
if expected.exists() and count != int(expected.read_text()):
    sys.exit(f"{count} notes instead of {expected.read_text()}")
