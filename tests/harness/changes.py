"""Changes of the app that make versions of it, for `repository`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.harness.repository import Change, replace

MAIN = Path("src/observatory/main.py")
LOCK = Path("requirements.txt")
MISBEHAVING = Path(__file__).resolve().parents[2] / "tests/harness/load/misbehaving.py"


def same(tree: Path) -> None:
    """The app as it is."""


def misbehaving(tree: Path) -> None:
    """Beside its own paths, the app does below /misbehave whatever an app must not do."""
    (tree / "src/observatory/misbehaving.py").write_text(MISBEHAVING.read_text())
    with (tree / MAIN).open("a") as code:
        code.write("\nfrom observatory.misbehaving import Misbehaving\n\napp = Misbehaving(app)\n")


def at_start(*lines: str) -> Change:
    """Lines of the start-up handler, in which `live` tells the service from the rehearsal."""
    first = '    log.info("worker %d of release %s starts", os.getpid(), RELEASE)\n'
    told = '    live = "rehearsal" not in os.environ["RUNTIME_DIRECTORY"]\n'
    return lambda tree: replace(tree / MAIN, first, first + told + "".join(f"    {line}\n" for line in lines))


def another(package: str) -> Change:
    """Another version of a package in the lock than the one that is there; the others stay."""
    return lambda tree: lock_another(tree, package)


def lock_another(tree: Path, package: str) -> None:
    """Lock another version of a package than the one that is locked.

    Raises:
        ValueError: it is not locked.
        subprocess.CalledProcessError: pyproject.toml allows no other version.
    """
    found = re.search(rf"^{package}==(\S+)", (tree / LOCK).read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{tree / LOCK} does not lock {package}")
    subprocess.run(
        [
            *("uv", "--system-certs", "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-header", "--constraints=-"),
            *(f"--output-file={LOCK}", "pyproject.toml"),
        ],
        cwd=tree,
        input=f"{package}!={found[1]}\n",
        text=True,
        stdout=subprocess.DEVNULL,
        check=True,
    )
