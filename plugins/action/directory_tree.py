"""Copy a directory of source files to a host as one archive that takes its place in one step.

Arguments:
    src: Directory in the role's `files`. Compiled Python is left out.
    dest: Path on the host. It becomes a link to a directory beside it; all files belong to root.
"""

from __future__ import annotations

import hashlib
import io
import shlex
import tarfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# What `sha256sum` says of every file below a directory, by name.
DIGESTS = "cd {dest} 2>/dev/null && find . -name __pycache__ -prune -o -type f -exec sha256sum {{}} +"
# A directory of an earlier version of the kit cannot be replaced in one step: it is moved out of the way.
REPLACE = """
set -e
umask 022
mkdir -p {parent}
cd {parent}
rm -rf .{name}.new .{name}.old
mkdir .{name}.new
tar --extract --gzip --no-same-owner --directory=.{name}.new
rm -rf .{name}-{digest}
mv .{name}.new .{name}-{digest}
ln -s .{name}-{digest} .{name}.new
if [ -d {name} ] && [ ! -L {name} ]; then mv {name} .{name}.old; fi
mv -T .{name}.new {name}
find . -maxdepth 1 -name '.{name}[.-]*' ! -name .{name}-{digest} -exec rm -rf {{}} +"""


def files_of(root: Path) -> dict[str, bytes]:
    """Return the content of every file below a directory by its relative name."""
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {name: (root / name).read_bytes() for name in names if "__pycache__" not in name.split("/")}


def digests(files: dict[str, bytes]) -> str:
    """Return what `DIGESTS` prints where a host has these files."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  ./{name}\n" for name, content in files.items())


def packed(files: dict[str, bytes]) -> bytes:
    """Return a compressed tar archive of the files, readable by everyone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class ActionModule(ActionBase):
    """Compares checksums, and sends the archive only if one differs."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether the host's directory was another one; with `--diff` the files that differed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {"src": {"type": "str", "required": True}, "dest": {"type": "path", "required": True}}
        )
        source, dest = Path(self._find_needle("files", arguments["src"])), Path(arguments["dest"])
        files = files_of(source)
        if not files:
            return {**result, "failed": True, "msg": f"{source} holds no files."}
        wanted = digests(files)
        found = self._low_level_execute_command(DIGESTS.format(dest=shlex.quote(str(dest))))["stdout"]
        differing = set(wanted.splitlines()) ^ set(found.splitlines())
        names = sorted({line.partition("  ./")[2] for line in differing})
        if not names or self._task.check_mode:
            return {**result, "changed": bool(names), "diff": {"prepared": "\n".join(names)}}
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:16]
        replace = REPLACE.format(parent=shlex.quote(str(dest.parent)), name=dest.name, digest=digest)
        replaced = self._low_level_execute_command(replace, in_data=packed(files))
        if replaced["rc"] != 0:
            return {**result, "failed": True, "msg": f"Cannot write {dest}: {replaced['stderr']}"}
        return {**result, "changed": True, "diff": {"prepared": "\n".join(names)}}
