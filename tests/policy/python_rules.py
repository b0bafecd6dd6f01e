"""What holds for tests and for exceptions from linters. Each rule returns one line per violation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .project_files import files

TESTS = ("tests/**/test_*.py", "molecule/**/test_*.py", "app/tests/**/test_*.py")
SKIPS = {"skip", "skipif", "xfail", "importorskip"}
# A bare exception: nothing but the end of the line, or of the comment, follows the code of the rule.
EXCEPTIONS = {
    "**/*.py": re.compile(r"#\s*(noqa(: *[A-Z]+\d+(, *[A-Z]+\d+)*)?|type: *ignore(\[[\w-]+\])?)\s*$"),
    "**/*.yml": re.compile(r"#\s*(noqa:?( +[\w-]+(\[[\w-]+\])?)*|yamllint disable[\w-]*( +rule:\w+)*)\s*$"),
    "**/*.sh": re.compile(r"#\s*shellcheck disable=\w+\s*$"),
}


def test_files(root: Path) -> list[Path]:
    """Return the files with tests, each once."""
    return sorted({path for pattern in TESTS for path in files(root, pattern)})


def every_test_says_why(root: Path) -> Iterator[str]:
    """A test without a docstring cannot say what its failure means."""
    for path in test_files(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and not ast.get_docstring(node):
                yield f"{path}:{node.lineno}: {node.name} has no docstring"


def no_test_is_skipped(root: Path) -> Iterator[str]:
    """A test that does not run protects nothing; what it needs is made before it."""
    for path in test_files(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in SKIPS and _is_pytest(node.value):
                yield f"{path}:{node.lineno}: uses {ast.unparse(node)}"


def _is_pytest(node: ast.expr) -> bool:
    return ast.unparse(node) in ("pytest", "pytest.mark", "unittest", "mark")


def no_plugin_changes_where_python_imports_from(root: Path) -> Iterator[str]:
    """Ansible gives every plugin a name to import it by; a path would be that of one way of use."""
    for path in files(root, "plugins/**/*.py"):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(r"\bsys\.path\b", line):
                yield f"{path}:{number}: touches sys.path; import from ansible_collections.farrier.kit"


def every_exception_gives_its_reason(root: Path) -> Iterator[str]:
    """A linter is silenced with the reason on the same line, or in a comment right above."""
    for pattern, bare in EXCEPTIONS.items():
        for path in files(root, pattern):
            before = ""
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
                if bare.search(line) and not before.strip().startswith("#"):
                    yield f"{path}:{number}: silences a linter without a reason beside it"
                before = line
