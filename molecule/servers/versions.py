"""Make a git repository with versions of an app to deploy, each a tag, in place of what is there.

python versions.py APP REPOSITORY
"""

from __future__ import annotations

from pathlib import Path

from tests.harness.changes import MAIN, misbehaving, same
from tests.harness.repository import Change, make, replace

COMPUTE = """

@app.get("/compute")
async def compute() -> int:
    import time

    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    return os.getpid()
"""


def common(tree: Path) -> None:
    """The app computes and misbehaves where it is asked to, and is a WSGI app, too."""
    with (tree / MAIN).open("a") as code:
        code.write(COMPUTE)
    misbehaving(tree)
    (tree / "src/observatory/threads.py").write_text(Path(__file__).with_name("threads.py").read_text())


def broken(tree: Path) -> None:
    """An app that does not import."""
    replace(tree / MAIN, "\nimport sys\n", "\nimport sys\nimport a_module_that_nobody_installed\n")


VERSIONS: dict[str, Change] = {"green": same, "blue": same, "broken": broken}


if __name__ == "__main__":
    make(common, VERSIONS)
