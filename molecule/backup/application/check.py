"""Whether there are as many notes, and rows if the database is on the same host, as files say."""

import os
import sys

import main


def problems():
    counts = {"notes": lambda: main.notes.execute("SELECT count(*) FROM notes").fetchone()[0]}
    if "host=/run/postgresql" in os.environ["DATABASE_URL"]:
        counts["rows"] = lambda: main.query("SELECT count(*) FROM rows")[0]
    for what, count in counts.items():
        expected = main.STATE / "uploads" / f"expected-{what}"
        if expected.exists() and (found := count()) != int(expected.read_text()):
            yield f"{found} {what} instead of {expected.read_text()}"


sys.exit(", ".join(problems()) or 0)
