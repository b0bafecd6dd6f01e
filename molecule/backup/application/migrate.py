"""Does what a file says: nothing, or half of a migration that nobody wants."""

import sys

import main

order = main.STATE / "uploads" / "migration"
if order.exists():
    main.notes.execute("DELETE FROM notes")
    main.query("DROP TABLE rows")
    sys.exit(order.read_text() == "fail")
