"""Make a git repository with versions of an app to deploy to a fleet, each a tag, in place of what is there.

python versions.py APP REPOSITORY
"""

from __future__ import annotations

from pathlib import Path

from tests.harness.changes import MAIN, another, at_start, misbehaving, same
from tests.harness.repository import Change, make, replace

# One more than can be live at a time: no test has to go to SERVER for another one.
GOOD = ("green", "blue", "red")
# The master is made of it.
SERVER = "server"
BAD_WHEN_LIVE = "start-up-raises-when-live"
BAD_ERROR = "RuntimeError: the dome does not open at night"
BAD_ON_APP3 = "start-up-raises-on-app3"
BAD_ON_APP3_ERROR = "RuntimeError: the dome of app3 does not open"
BAD_PATH = "/mirror"
BAD_ON_A_PATH = "one-path-fails"


def with_bad_path(tree: Path) -> None:
    """It lives and is healthy, and fails whoever asks for one thing."""
    lines = (
        f'@app.get("{BAD_PATH}")',
        "def mirror() -> None:",
        '    raise RuntimeError("the mirror is cracked")',
    )
    replace(tree / MAIN, "\napp = create_app()\n", "\n".join(["\napp = create_app()", "", "", *lines, ""]))


VERSIONS: dict[str, Change] = {
    **dict.fromkeys(GOOD, same),
    SERVER: another("gunicorn"),
    # Both live in their rehearsal, and fail when they have got the symlink already.
    BAD_WHEN_LIVE: at_start("if live:", "    raise RuntimeError('the dome does not open at night')"),
    BAD_ON_APP3: at_start(
        "import socket",
        "if live and socket.gethostname() == 'app3':",
        "    raise RuntimeError('the dome of app3 does not open')",
    ),
    BAD_ON_A_PATH: with_bad_path,
}


if __name__ == "__main__":
    make(misbehaving, VERSIONS)
