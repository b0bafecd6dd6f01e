"""Make a git repository with versions of an app, good and bad ones, each a tag, in place of what is there.

python versions.py APP REPOSITORY
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness.changes import MAIN, at_start
from tests.harness.repository import Change, Repository, replace

PROBES = Path("src/observatory/probes.py")
GOOD = ("good-1", "good-2")
KILLED = tuple(f"killed-{number}" for number in range(1, 13))
SLOW_BUILD = "slow-build"
# Longer than it takes to start the next deploy on a busy machine, and than anybody would wait for.
ENDLESS_BUILD = "endless-build"
SLOW_MIGRATION = "slow-migration"


@dataclass(frozen=True)
class BadRelease:
    """A version that cannot live.

    Args:
        version: its tag.
        change: what is wrong with it.
        phases: where that has to be found; more than one where it depends on the speed of the machine.
        says: texts that the operator has to see, the app's own error among them.
    """

    version: str
    change: Change
    phases: tuple[str, ...]
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.version


def at_import(statement: str) -> Change:
    """A statement that runs when the app is imported."""
    return lambda tree: replace(
        tree / MAIN, '\nlog = logging.getLogger("observatory")\n', f"\n{statement}\nlog = None\n"
    )


def health(answer: str) -> Change:
    """Another answer of the health path."""
    return lambda tree: replace(
        tree / PROBES, 'return JSONResponse({"status": "ok", "release": RELEASE})', answer
    )


def script(name: str, *lines: str) -> Change:
    """A hook of the app."""

    def change(tree: Path) -> None:
        (tree / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
        (tree / name).chmod(0o755)

    return change


def without_dependency(tree: Path) -> None:
    """A package that is imported is not in the lock file."""
    lock = tree / "requirements.txt"
    lock.write_text(re.sub(r"(?m)^prometheus-client==.*\n(?: .*\n)*", "", lock.read_text()))


def wrong_hash(tree: Path) -> None:
    """What the index has is not what was locked."""
    lock = tree / "requirements.txt"
    locked = re.search(r"(?m)^click==.*\n(?: .*\n)*", lock.read_text())
    assert locked, f"{lock} does not lock click"
    lock.write_text(
        lock.read_text().replace(locked[0], re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", locked[0]))
    )


def failing_migration(tree: Path) -> None:
    """A migration of a table that is not there."""
    first = tree / "src/observatory/migrations/versions/0001_notes.py"
    text = first.read_text().replace(
        'revision = "0001"\ndown_revision = None', 'revision = "0002"\ndown_revision = "0001"'
    )
    body = 'def upgrade() -> None:\n    op.execute("ALTER TABLE stars ADD COLUMN brightness")\n'
    first.with_name("0002_stars.py").write_text(f"{text.partition('def upgrade')[0]}{body}")


def broken_backend(tree: Path) -> None:
    """The program that builds the package does not exist."""
    replace(tree / "pyproject.toml", 'requires = ["uv_build>=0.9,<1"]', "requires = []")
    replace(tree / "pyproject.toml", 'build-backend = "uv_build"', 'build-backend = "no_such_backend"')


# What everyone else sees of a process that the kernel ends for its memory: it grows, and a SIGKILL ends it
# without a word, well within the rehearsal. The kernel itself is not asked to do it: not
# every machine gives containers a memory limit.
EAT_MEMORY = (
    "import asyncio, signal",
    "eaten = []",
    "def eat():",
    "    eaten.append(b'x' * 20_000_000)",
    "    if len(eaten) == 10:",
    "        os.kill(os.getpid(), signal.SIGKILL)",
    "    asyncio.get_running_loop().call_later(0.05, eat)",
    "eat()",
)
DIE_SOON = (
    "import asyncio",
    "def die():",
    "    log.critical('the stars went out')",
    "    os._exit(7)",
    "asyncio.get_running_loop().call_later(1, die)",
)

BAD = (
    BadRelease(
        "does-not-import",
        at_import("import no_such_module"),
        ("rehearse",),
        ("ModuleNotFoundError: No module named 'no_such_module'",),
    ),
    BadRelease(
        "syntax-error", at_import("def broken(:"), ("rehearse",), ("main.py", "SyntaxError: invalid syntax")
    ),
    BadRelease(
        "missing-dependency",
        without_dependency,
        ("rehearse",),
        ("ModuleNotFoundError: No module named 'prometheus_client'",),
    ),
    BadRelease(
        "start-up-raises",
        at_start("raise RuntimeError('the dome does not open')"),
        ("rehearse",),
        ("RuntimeError: the dome does not open",),
    ),
    BadRelease(
        "start-up-hangs",
        at_start("import asyncio", "await asyncio.sleep(3600)"),
        ("rehearse",),
        ("boot_timeout_seconds (8)",),
    ),
    BadRelease(
        "health-500",
        health("raise RuntimeError('the mirror is cracked')"),
        ("rehearse",),
        ("/healthz answered 500", "RuntimeError: the mirror is cracked"),
    ),
    BadRelease(
        "dies-after-a-second",
        at_start(*DIE_SOON),
        ("rehearse", "activate"),
        ("failed its rehearsal and does not go live", "the stars went out"),
    ),
    BadRelease(
        "eats-memory",
        at_start(*EAT_MEMORY),
        ("rehearse", "activate"),
        ("failed its rehearsal and does not go live", "SIGKILL"),
    ),
    BadRelease(
        "migration-fails",
        failing_migration,
        ("migrate",),
        ("'alembic upgrade head' failed with exit code 1", "no such table: stars"),
    ),
    BadRelease("build-backend-missing", broken_backend, ("build",), ("no_such_backend",)),
    BadRelease("wrong-hash", wrong_hash, ("build",), ("click", "0" * 64)),
    BadRelease(
        "fills-the-disk",
        script("before_build", "cat /dev/zero > ballast", "exit 0"),
        ("build",),
        ("No space left on device", "df -h /srv/observatory"),
    ),
)

# These live in their rehearsal, and fail when they have got the symlink already.
BAD_WHEN_LIVE = (
    BadRelease(
        "start-up-raises-when-live",
        at_start("if live:", "    raise RuntimeError('the dome does not open at night')"),
        ("activate",),
        ("RuntimeError: the dome does not open at night",),
    ),
    BadRelease(
        "start-up-hangs-when-live",
        at_start("if live:", "    import asyncio", "    await asyncio.sleep(3600)"),
        ("activate",),
        ("boot_timeout_seconds (8)",),
    ),
    BadRelease(
        "after-activate-fails",
        script("after_activate", "echo nobody came to the opening", "exit 3"),
        ("activate",),
        ("after_activate: './after_activate' failed with exit code 3", "nobody came to the opening"),
    ),
)


def main(app: Path, path: Path) -> None:
    """Make all versions."""
    repository = Repository(app, path)
    repository.change(script("before_build", "exit 0"))
    repository.change(script("migrate", "exit 0"))
    repository.change(script("after_activate", "exit 0"))
    for version in (*GOOD, *KILLED):
        repository.tag(version, lambda tree: None)
    repository.tag(SLOW_BUILD, script("before_build", "sleep 5"))
    repository.tag(ENDLESS_BUILD, script("before_build", "sleep 600"))
    # Cut short, or without the release below its feet, it leaves no word.
    word = "$STATE_DIRECTORY/migrated"
    repository.tag(SLOW_MIGRATION, script("migrate", f"touch {word}-begun", "sleep 5", f"cp VERSION {word}"))
    for bad in (*BAD, *BAD_WHEN_LIVE):
        repository.tag(bad.version, bad.change)
    repository.tag("no-lock", lambda tree: (tree / "requirements.txt").unlink())
    repository.tag(
        "python-too-new",
        lambda tree: replace(
            tree / "pyproject.toml", 'requires-python = ">=3.11"', 'requires-python = ">=3.99"'
        ),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
