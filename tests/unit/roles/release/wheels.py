"""Wheels made on the spot, so that builds are tested with the real uv and without a network."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path


def make_wheel(directory: Path, name: str, version: str, *, content: str = "", requires: str = "") -> str:
    """A wheel with one module.

    Args:
        directory: where to put it.
        name: of the distribution and of the module.
        version: of the distribution.
        content: of the module.
        requires: a requirement of the distribution, or "".

    Returns:
        A pinned requirement with the wheel's hash.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = directory / f"{stem}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name.replace('-', '_')}.py": content or f"VERSION = {version!r}\n",
        f"{stem}.dist-info/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files)
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr(f"{stem}.dist-info/RECORD", record)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
