"""A release that one host has built reaches another one: the very same bytes, or nothing at all."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from farrier_gunicorn.servers import SERVERS
from farrier_release import interpreter
from farrier_release import transfer as transfer_module
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.index import File, Index, Link, NotPortableError, check, decode, index_of, open_own

from tests.unit.roles.release.conftest import (
    Run,
    add_release,
    make_live,
    prepare,
    request,
    runner,
    settings_in,
)
from tests.unit.roles.release.machine import with_settings
from tests.unit.roles.release.test_deploy import REPORT

OLD = "20260101T000000Z-v1"
EXECUTABLE = os.path.realpath(sys.executable)
PYTHON = interpreter.describe(sys.executable)
TREE = {
    "source/app.py": "print('one')",
    "source/empty.py": "",
    ".venv/bin/serve": "#!/srv/test/.venv/bin/python",
    ".venv/lib/python3.11/site-packages/dep/__init__.py": "",
    ".venv/lib/python3.11/site-packages/dep/core.py": "CORE = 1\n" * 1000,
    ".venv/lib/python3.11/site-packages/dep/__pycache__/core.cpython-311.pyc": "compiled",
}
MODES = {".venv/bin/serve": 0o755, "source/empty.py": 0o600}


class Machine:
    """A host with its command line, and the deploy that is under way there."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.host = prepare(directory, settings_in(directory))
        self.run: Run = runner(self.host, capsys)
        self.application = Application(self.host.configuration, self.host)
        self.token, self.platform = "", ""

    def begin(self, stamp: str, version: str = "v2", **changes: Any) -> str:
        """Begin a deploy; returns the release."""
        self.source = f"the source at {stamp}".encode()
        sha256 = hashlib.sha256(self.source).hexdigest()
        asked = request(archive_sha256=sha256, release_stamp=stamp, version=version, **changes)
        code, begun = self.run("begin", "--request", asked)
        assert code == ExitCode.SUCCESS, begun
        self.token, self.platform = begun["token"], begun["platform"]
        self.upload_to = Path(begun["upload_to"])
        return str(begun["release"])

    def tree(self, release: str) -> Path:
        """Directory of a release."""
        return self.host.configuration.release_directory(release)

    def build(self, release: str, files: dict[str, str], links: dict[str, str]) -> None:
        """Build what is given: what sandbox and uv would do."""
        self.upload_to.write_bytes(self.source)
        python = {"python_version": PYTHON["version"], "python_executable": PYTHON["executable"]}
        self.host.build_report = {**REPORT, **python}
        code, built = self.run("prepare", "--token", self.token)
        assert code == ExitCode.SUCCESS, built
        fill(self.tree(release), files, links)

    def offer(self) -> tuple[Path, str]:
        """The index and its checksum."""
        output = self.directory / f"index-{self.token}"
        code, offered = self.run("offer", "--token", self.token, "--output", str(output))
        assert code == ExitCode.SUCCESS, offered
        assert offered["offered"] is True, offered
        return output, offered["sha256"]

    def pack(self, wanted: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
        """The pack of what is wanted."""
        output = self.directory / f"pack-{self.token}"
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(wanted)))
        code, packed = self.run("pack", "--token", self.token, "--output", str(output))
        assert code == ExitCode.SUCCESS, packed
        return output

    def want(self, index: Path, sha256: str) -> tuple[int, dict[str, Any]]:
        """Ask what is lacking."""
        return self.run("want", "--token", self.token, "--index", str(index), "--index-sha256", sha256)

    def receive(self, index: Path, sha256: str, pack: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Make the release of what was sent."""
        arguments = ["--token", self.token, "--index", str(index), "--index-sha256", sha256]
        return self.run("receive", *arguments, *(["--pack", str(pack)] if pack else []))

    def finish(self, release: str) -> None:
        """Make what was built or received live."""
        code, result = self.run("activate", "--token", self.token)
        assert code == ExitCode.SUCCESS, result
        assert self.host.live() == release


def fill(root: Path, files: dict[str, str], links: dict[str, str]) -> None:
    """Files and symlinks below a directory, with times that tell them apart, and packages as they come."""
    site = root / ".venv" / "lib" / "python3.11" / "site-packages"
    for name, version in REPORT["packages"].items():
        (site / f"{name.replace('-', '_')}-{version}.dist-info").mkdir(parents=True, exist_ok=True)
    for number, (name, content) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(MODES.get(name, 0o644))
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + number))
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


LINKS = {
    ".venv/bin/python": EXECUTABLE,
    ".venv/bin/python3": "python",
    ".venv/lib64": "lib",
    "source/deep/up": "../app.py",
}


def everything(root: Path) -> dict[str, Any]:
    """All that a release is, but what the tool keeps of it."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(root))
        if stat.S_ISLNK(status.st_mode):
            found[name] = os.readlink(path)  # noqa: PTH115 - to the letter
        elif stat.S_ISDIR(status.st_mode):
            found[name] = stat.S_IMODE(status.st_mode)
        elif not name.startswith(".farrier"):
            found[name] = (stat.S_IMODE(status.st_mode), status.st_mtime_ns, path.read_bytes())
    return found


@pytest.fixture(autouse=True)
def _python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farrier_release.interpreter.choose", lambda application, requires: sys.executable)


@pytest.fixture
def builder(directory: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    """The host that builds."""
    machine = Machine(directory / "a", capsys)
    yield machine
    machine.host.close()


@pytest.fixture
def receiver(directory: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    """A host that is to get what was built, while an older release serves."""
    machine = Machine(directory / "b", capsys)
    make_live(machine.host, OLD)
    yield machine
    machine.host.close()


STAMP, NEXT_STAMP = "20261121T165606Z", "20261122T000000Z"


class Transfer:
    """A release that was built on one host and begun on the other."""

    def __init__(self, builder: Machine, receiver: Machine, stamp: str, files: dict[str, str]) -> None:
        self.builder, self.receiver = builder, receiver
        self.release = builder.begin(stamp)
        builder.build(self.release, files, LINKS)
        self.index, self.sha256 = builder.offer()
        assert receiver.begin(stamp) == self.release

    def missing(self) -> list[str]:
        """What the receiver lacks."""
        code, wanted = self.receiver.want(self.index, self.sha256)
        assert code == ExitCode.SUCCESS, wanted
        return list(wanted["missing"])

    def receive(self, pack: Path | None) -> tuple[int, dict[str, Any]]:
        """Receive the release."""
        return self.receiver.receive(self.index, self.sha256, pack)

    def nothing_is_left(self) -> None:
        """The old release serves, nothing is left of the new one, and the next deploy may begin."""
        assert self.receiver.host.live() == OLD
        assert not self.receiver.tree(self.release).exists()
        status = self.receiver.run("status")[1]
        assert (status["problem"], status["lease"]) == ("", None)
        assert status["attempts"][-1]["result"] in ("failed", "abandoned")
        self.receiver.begin(NEXT_STAMP)


@pytest.fixture
def transfer(builder: Machine, receiver: Machine) -> Transfer:
    """A first one."""
    return Transfer(builder, receiver, STAMP, TREE)


def test_a_release_arrives_as_it_was_built(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, modes, symlinks and the times that compiled files depend on; and it goes live as if built."""
    builder, receiver, release = transfer.builder, transfer.receiver, transfer.release
    pack = builder.pack(transfer.missing(), monkeypatch)
    code, result = transfer.receive(pack)
    assert code == ExitCode.SUCCESS, result
    assert everything(receiver.tree(release)) == everything(builder.tree(release))
    assert (result["files"], result["travelled"]) == (len(TREE), len(set(TREE.values())))
    receiver.finish(release)
    assert receiver.run("status")[1]["attempts"][-1]["seconds"].keys() >= {"begin", "receive", "rehearse"}


def test_a_received_release_is_as_good_as_a_built_one(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays root's, and the manifest is what this host knows."""
    transfer.receive(transfer.builder.pack(transfer.missing(), monkeypatch))
    assert not [call for call in transfer.receiver.host.calls if call.startswith("give ")]
    manifests = [
        json.loads((one.tree(transfer.release) / ".farrier.json").read_text())
        for one in (transfer.builder, transfer.receiver)
    ]
    for manifest in manifests:
        del manifest["built_at"]
    assert manifests[0] == manifests[1]
    assert manifests[0]["platform"] == transfer.receiver.platform
    assert PYTHON["version"] in transfer.receiver.platform


def test_a_release_can_be_read_whoever_deploys(
    builder: Machine, receiver: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator with a umask of 077 deploys; the app and nginx are other users."""
    before = os.umask(0o077)
    try:
        transfer = Transfer(builder, receiver, STAMP, TREE)
        transfer.receive(builder.pack(transfer.missing(), monkeypatch))
    finally:
        os.umask(before)
    for machine in (builder, receiver):
        root = machine.tree(transfer.release)
        for path in (root, root / "source", root / ".venv"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o755, path


def test_only_what_changed_travels(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file of the next release is new: one travels, the rest is what the host has already."""
    builder, receiver = transfer.builder, transfer.receiver
    transfer.receive(builder.pack(transfer.missing(), monkeypatch))
    for machine in (builder, receiver):
        machine.finish(transfer.release)
    # A file with another time, as sources have after each build, is copied from what is here.
    changed = {**TREE, "source/app.py": "print('two')"}
    second = Transfer(builder, receiver, NEXT_STAMP, changed)
    os.utime(builder.tree(second.release) / "source" / "empty.py", ns=(0, 5))
    builder.application.releases.index_path(second.release).unlink()
    second.index.unlink()
    second.index, second.sha256 = builder.offer()
    missing = second.missing()
    assert missing == [hashlib.sha256(b"print('two')").hexdigest()]
    code, result = second.receive(builder.pack(missing, monkeypatch))
    assert (code, result["travelled"], result["linked"]) == (ExitCode.SUCCESS, 1, len(TREE) - 2), result
    assert everything(receiver.tree(second.release)) == everything(builder.tree(second.release))
    # What was linked serves both; what was copied has not changed the release that is live.
    assert everything(receiver.tree(transfer.release)) == everything(builder.tree(transfer.release))


def test_nothing_travels_that_a_host_has_built_itself(
    builder: Machine, receiver: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first deploy from another host: the live release has no index yet, and gets one."""
    fill(receiver.tree(OLD), TREE, LINKS)
    transfer = Transfer(builder, receiver, STAMP, TREE)
    assert transfer.missing() == []
    assert receiver.application.releases.index_path(OLD).is_file()
    code, result = transfer.receive(None)
    assert (code, result["travelled"]) == (ExitCode.SUCCESS, 0)
    assert everything(receiver.tree(transfer.release)) == everything(builder.tree(transfer.release))


def test_nothing_is_taken_from_what_was_never_finished_or_would_have_to_be_read(transfer: Transfer) -> None:
    """The live release is read once; reading every other one takes longer than what travels."""
    receiver = transfer.receiver
    earlier = add_release(receiver.host.configuration, "20250101T000000Z-v0")
    for release in (OLD, earlier):
        fill(receiver.tree(release), TREE, LINKS)
    (receiver.tree(OLD) / ".farrier.json").unlink()
    assert set(transfer.missing()) == {hashlib.sha256(text.encode()).hexdigest() for text in TREE.values()}
    assert not any(receiver.application.releases.index_path(release).exists() for release in (OLD, earlier))


def edited(path: Path) -> None:
    """The same size and another time."""
    path.write_text("print('own')")


def renewed(path: Path) -> None:
    """The same size and time, but no file."""
    status = path.stat()
    path.unlink()
    os.mkfifo(path)
    path.chmod(status.st_mode & 0o777)
    os.utime(path, ns=(0, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("name", "alter"),
    [
        ("source/app.py", edited),
        ("source/app.py", Path.unlink),
        ("source/app.py", lambda path: path.chmod(0o600)),
        ("source/only.py", renewed),
    ],
)
def test_a_file_that_was_altered_is_not_taken(
    builder: Machine, receiver: Machine, name: str, alter: Callable[[Path], None]
) -> None:
    """Somebody has been at the live release: the new one gets what was built."""
    files = {name: text for name, text in TREE.items() if text} | {"source/only.py": ""}
    fill(receiver.tree(OLD), files, LINKS)
    index_of(receiver.application, OLD)
    alter(receiver.tree(OLD) / name)
    transfer = Transfer(builder, receiver, STAMP, files)
    assert transfer.missing() == [hashlib.sha256(files[name].encode()).hexdigest()]


def test_what_can_be_linked_no_more_is_copied(
    builder: Machine, receiver: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems limit the links of a file, and every release has many that are empty."""
    fill(receiver.tree(OLD), TREE, LINKS)
    transfer = Transfer(builder, receiver, STAMP, TREE)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr("os.link", refuse)
    code, result = transfer.receive(None)
    assert (code, result["travelled"], result["linked"]) == (ExitCode.SUCCESS, 0, 0), result
    assert everything(receiver.tree(transfer.release)) == everything(builder.tree(transfer.release))


def test_a_file_is_written_once_and_not_beyond_its_size(tmp_path: Path) -> None:
    """What is sent may have no end, and what is there may lead elsewhere."""
    with pytest.raises(ReleaseError, match="damaged"):
        transfer_module._write(tmp_path, File("x", 0o644, 3, 0, CORE), io.BytesIO(b"x" * 1_000_000))
    assert (tmp_path / "x").stat().st_size == 4
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link"):
        with pytest.raises(FileExistsError):
            transfer_module._write(tmp_path, File(name, 0o644, 0, 0, EMPTY), io.BytesIO())
    with pytest.raises(OSError, match="symbolic links"):
        open_own(str(tmp_path / "link"))


def test_a_copy_of_what_was_altered_unnoticed_is_refused(builder: Machine, receiver: Machine) -> None:
    """Same size, same time, other bytes: what is not linked is verified, wherever it comes from."""
    fill(receiver.tree(OLD), TREE, LINKS)
    app = receiver.tree(OLD) / "source" / "app.py"
    os.utime(app, ns=(0, 7))
    index_of(receiver.application, OLD)
    app.write_text("print('own')")
    os.utime(app, ns=(0, 7))
    transfer = Transfer(builder, receiver, STAMP, TREE)
    code, result = transfer.receive(None)
    assert code == ExitCode.FAILED
    assert "The content of source/app.py is damaged" in result["message"]
    transfer.nothing_is_left()


def tampered(pack: Path, change: dict[str, bytes]) -> Path:
    """A pack with other contents."""
    other = pack.with_name("tampered")
    with tarfile.open(pack) as old, tarfile.open(other, "w:gz") as new:
        contents = {member.name: old.extractfile(member) for member in old}
        for name, content in {
            **{name: file.read() for name, file in contents.items() if file},
            **change,
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return other


CORE = hashlib.sha256(TREE[".venv/lib/python3.11/site-packages/dep/core.py"].encode()).hexdigest()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({CORE: b"EVIL = 1\n" * 1000}, "core.py is damaged"),
        ({CORE: b"CORE = 1\n" * 1001}, "core.py is damaged"),
        ({CORE: b"short"}, "core.py is damaged"),
        ({"../../../etc/cron.d/x": b"x"}, "which was not requested"),
        ({"a" * 64: b"x"}, "which was not requested"),
    ],
)
def test_a_tampered_pack_is_refused(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch, change: dict[str, bytes], why: str
) -> None:
    """What travelled is what was built, or it is nothing."""
    pack = transfer.builder.pack(transfer.missing(), monkeypatch)
    code, result = transfer.receive(tampered(pack, change))
    assert code == ExitCode.FAILED
    assert why in result["message"]
    transfer.nothing_is_left()


@pytest.mark.parametrize(
    ("kept", "appended", "why"),
    [(-200, b"", "The pack lacks"), (0, b"no archive", "The pack is damaged")],
)
def test_a_pack_that_was_cut_off_or_spoilt_is_refused(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch, kept: int, appended: bytes, why: str
) -> None:
    """The connection has ended, or the disk has: in words, not with a traceback."""
    pack = transfer.builder.pack(transfer.missing(), monkeypatch)
    pack.write_bytes(pack.read_bytes()[:kept] + appended)
    code, result = transfer.receive(pack)
    assert code == ExitCode.FAILED
    assert why in result["message"]
    transfer.nothing_is_left()


def test_a_pack_that_lacks_something_is_refused(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is missing would be found by the first request that needs it."""
    missing = [sha256 for sha256 in transfer.missing() if sha256 != CORE]
    code, result = transfer.receive(transfer.builder.pack(missing, monkeypatch))
    assert code == ExitCode.FAILED
    assert (
        "lacks 1 contents, such as that of .venv/lib/python3.11/site-packages/dep/core.py"
        in result["message"]
    )
    transfer.nothing_is_left()


def test_a_link_in_a_pack_is_not_content(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader would open what it names."""
    pack = transfer.builder.pack(transfer.missing(), monkeypatch)
    with tarfile.open(pack, "w:gz") as tar:
        member = tarfile.TarInfo(CORE)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    assert "which was not requested" in transfer.receive(pack)[1]["message"]
    transfer.nothing_is_left()


def test_an_interrupted_receive_leaves_nothing(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a build that is interrupted: whatever was written goes."""
    pack = transfer.builder.pack(transfer.missing(), monkeypatch)

    def interrupted(*_: object) -> None:
        assert (transfer.receiver.tree(transfer.release) / "source" / "app.py").exists()
        raise SystemExit(143)

    monkeypatch.setattr("farrier_release.transfer.sync_file_system", interrupted)
    with pytest.raises(SystemExit):
        transfer.receive(pack)
    transfer.receiver.run("recover")
    transfer.nothing_is_left()


def test_a_damaged_index_is_refused(transfer: Transfer) -> None:
    """One bit, and it would be another release."""
    data = bytearray(transfer.index.read_bytes())
    data[-9] ^= 1
    transfer.index.write_bytes(data)
    code, result = transfer.receiver.want(transfer.index, transfer.sha256)
    assert code == ExitCode.FAILED
    assert "was damaged in transit" in result["message"]
    assert transfer.receive(None)[0] == ExitCode.FAILED
    transfer.nothing_is_left()


DEFLATED_BADLY = gzip.compress(b"x" * 100)[:10] + b"\xff" * 20


# Named here: gzip writes the time, and names of their own would differ between pytest's processes.
@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", DEFLATED_BADLY, gzip.compress(b"[]"), gzip.compress(b'{"files": [[1]]}')],
    ids=["empty", "no gzip", "deflated badly", "a list", "a file without a name"],
)
def test_what_is_no_index_is_refused(transfer: Transfer, data: bytes) -> None:
    """In words, not with a traceback."""
    transfer.index.write_bytes(data)
    code, result = transfer.receiver.want(transfer.index, hashlib.sha256(data).hexdigest())
    assert code == ExitCode.FAILED
    assert "this is no index of a release" in result["message"]


def changed_index(transfer: Transfer, **changes: Any) -> Index:
    """The index of a transfer, with changes, in the file that is sent."""
    index = decode(transfer.index.read_bytes())
    index = Index(**{**vars(index), **changes})
    transfer.index.write_bytes(index.encode())
    transfer.sha256 = hashlib.sha256(transfer.index.read_bytes()).hexdigest()
    return index


EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/cron.d/x",
        "../x",
        "source/../../x",
        "source/./x",
        "source//x",
        "source/x/",
        "source/",
        "source/.",
        "source/..",
        "other/x",
        "x",
        ".farrier.json",
        "source/app.py/x",
        "source/deep/up/x",
        "source/app.py",
        "source/deep",
        "source/\0",
        "",
        7,
    ],
)
def test_paths_that_lead_out_are_refused(transfer: Transfer, path: Any) -> None:
    """They are data from another host, and root makes what they name; also none is written through a link."""
    index = decode(transfer.index.read_bytes())
    changed_index(transfer, files=[*index.files, File(path, 0o644, 0, 0, EMPTY)])
    code, result = transfer.receive(None)
    assert code == ExitCode.FAILED
    assert "is refused" in result["message"]
    transfer.nothing_is_left()


@pytest.mark.parametrize(
    "changes",
    [
        {"directories": [["/tmp/x", 0o755]]},
        {"directories": [["source/../x", 0o755]]},
        {"directories": [["source", 0o755], ["source/..", 0o755], ["source/../x", 0o755]]},
        {"directories": [["source", 0o777]]},
        {"links": [["source/x", "/etc/passwd"]]},
        {"links": [["source/x", "../../y"]]},
        {"links": [["source/x", "deep/../../../y"]]},
        {"links": [["source/x", ""]]},
        {"links": [["source/x", 7]]},
        {"links": [["source/x", "y\0"]]},
        {"links": [[".venv/bin/python", "/etc/passwd"]]},
        {"links": [["source/python", EXECUTABLE]]},
        {"files": [["source/x", 0o4755, 0, 0, EMPTY]]},
        {"files": [["source/x", 0o666, 0, 0, EMPTY]]},
        {"files": [["source/x", "755", 0, 0, EMPTY]]},
        {"files": [["source/x", 0o644, -1, 0, EMPTY]]},
        {"files": [["source/x", 0o644, 0, 0.5, EMPTY]]},
        {"files": [["source/x", 0o644, 0, 0, "../x"]]},
        {"files": [["source/x", 0o644, 0, 0, f"{EMPTY}/../x"]]},
        {"files": [["source/x", 0o644, 0, 0, 7]]},
    ],
)
def test_what_no_build_leaves_is_refused(transfer: Transfer, changes: dict[str, Any]) -> None:
    """Links to elsewhere, and modes that would let others write or become somebody else."""
    base = {
        "directories": [["source", 0o755], [".venv", 0o755], [".venv/bin", 0o755]],
        "links": [],
        "files": [],
    }
    transfer.index.write_bytes(
        gzip.compress(json.dumps({**vars(decode(transfer.index.read_bytes())), **base, **changes}).encode())
    )
    sha256 = hashlib.sha256(transfer.index.read_bytes()).hexdigest()
    code, result = transfer.receiver.want(transfer.index, sha256)
    assert code == ExitCode.FAILED
    assert "is refused" in result["message"]


@pytest.mark.parametrize("what", ["release", "platform"])
def test_a_release_of_elsewhere_is_refused(transfer: Transfer, what: str) -> None:
    """Its environment names its own path, and the interpreter that it was built with."""
    changed_index(transfer, **{what: "another"})
    code, result = transfer.receiver.want(transfer.index, transfer.sha256)
    assert code == ExitCode.USAGE
    assert f"The offered {what} is 'another'" in result["message"]


def test_a_host_with_other_settings_refuses(builder: Machine, receiver: Machine) -> None:
    """`site.yml` has reached one host only: it is not made to look as if it had reached both."""
    receiver.host.configuration.server_requirements.write_text("gunicorn==27.0.2")
    transfer = Transfer(builder, receiver, STAMP, TREE)
    code, result = receiver.want(transfer.index, transfer.sha256)
    assert code == ExitCode.FAILED
    assert "server_requirements_sha256" in result["message"]
    assert "farrier.kit.site" in result["error"]["next_command"]


def test_servers_that_the_worker_cannot_work_with_are_refused(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a build: this host may have another worker than the one that built."""
    monkeypatch.setitem(SERVERS["uvicorn"].supported, "gunicorn", ("99", "100"))
    code, result = transfer.receive(transfer.builder.pack(transfer.missing(), monkeypatch))
    assert code == ExitCode.FAILED
    assert "gunicorn 27.0.1" in result["message"]
    transfer.nothing_is_left()


@pytest.mark.parametrize(
    ("link", "target"), [("source/media", "/var/lib/media"), ("source/up", "../../elsewhere")]
)
def test_a_release_that_leads_out_is_not_offered(builder: Machine, link: str, target: str) -> None:
    """A hook has made a link to a place of this host: the deploy goes on, and each host builds."""
    release = builder.begin(STAMP)
    builder.build(release, TREE, {**LINKS, link: target})
    output = builder.directory / "index"
    code, result = builder.run("offer", "--token", builder.token, "--output", str(output))
    assert (code, result["offered"]) == (ExitCode.SUCCESS, False)
    assert link in result["message"]
    assert not output.exists()
    builder.finish(release)


def test_a_release_with_a_pipe_is_not_offered(builder: Machine) -> None:
    """Nothing hangs on reading it."""
    release = builder.begin(STAMP)
    builder.build(release, TREE, LINKS)
    os.mkfifo(builder.tree(release) / "source" / "pipe")
    result = builder.run("offer", "--token", builder.token, "--output", str(builder.directory / "index"))[1]
    assert result["offered"] is False
    assert "'source/pipe' is neither a file, a directory nor a symlink" in result["message"]


def test_an_offer_is_for_its_caller_alone(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory may be in everybody's reach, and what is there is not overwritten."""
    pack = transfer.builder.pack(transfer.missing(), monkeypatch)
    owner = transfer.builder.directory.stat()
    for path in (transfer.index, pack):
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, owner.st_uid)
    code, result = transfer.builder.run(
        "offer", "--token", transfer.builder.token, "--output", str(transfer.index)
    )
    assert code == ExitCode.FAILED
    assert "File exists" in result["message"]


def test_an_offer_is_given_to_whoever_owns_its_directory(
    transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root writes it, and the user that Ansible connects as fetches it."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("os.fchown", lambda _, user, group: given.append((user, group)))
    monkeypatch.setattr("pathlib.Path.stat", lambda path, **_: SimpleNamespace(st_uid=7, st_gid=8))
    with transfer_module._create_for_the_caller(transfer.builder.directory / "offer"):
        assert given == [(7, 8)]


def test_only_what_is_of_the_release_is_packed(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checksum is no path, and no other file of the host can be had."""
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(["../../../etc/passwd"])))
    token, output = transfer.builder.token, transfer.builder.directory / "pack"
    code, result = transfer.builder.run("pack", "--token", token, "--output", str(output))
    assert code == ExitCode.USAGE
    assert "has no file with the checksum ../../../etc/passwd" in result["message"]


def test_steps_come_in_their_order(builder: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is offered that is not built, nothing packed that is not offered, nothing goes live that is
    neither built nor received; and a mistake in the order ends no deploy."""
    release = builder.begin(STAMP)
    code, result = builder.run("offer", "--token", builder.token, "--output", str(builder.directory / "x"))
    assert (code, "offer comes after build" in result["message"]) == (ExitCode.USAGE, True)
    code, result = builder.run("activate", "--token", builder.token)
    assert (code, "activate comes after prepared" in result["message"]) == (ExitCode.USAGE, True)
    builder.build(release, TREE, LINKS)
    monkeypatch.setattr("sys.stdin", io.StringIO("[]"))
    code, result = builder.run("pack", "--token", builder.token, "--output", str(builder.directory / "x"))
    assert (code, "pack comes after offer" in result["message"]) == (ExitCode.USAGE, True)
    builder.finish(release)


def test_a_deploy_of_one_host_receives_nothing(transfer: Transfer) -> None:
    """Without a stamp the release ids differ by chance, and nobody asked which Python there is."""
    transfer.receiver.run("abort", "--token", transfer.receiver.token)
    transfer.receiver.begin("")
    assert transfer.receiver.platform is None
    code, result = transfer.receiver.want(transfer.index, transfer.sha256)
    assert code == ExitCode.USAGE
    assert "begun without a release_stamp" in result["message"]


def test_an_id_that_is_taken_is_refused(receiver: Machine) -> None:
    """All hosts of a deploy have one id: another one here would be another path."""
    make_live(receiver.host, f"{STAMP}-v2")
    code, result = receiver.run("begin", "--request", request(release_stamp=STAMP))
    assert code == ExitCode.USAGE
    assert f"Release {STAMP}-v2 already exists" in result["message"]
    assert receiver.run("status")[1]["lease"] is None


@pytest.mark.parametrize("stamp", ["now", "../x", "20261121T165606", "20261121T165606Z/x"])
def test_a_stamp_is_a_time(receiver: Machine, stamp: str) -> None:
    """It becomes part of a path and of a unit's name."""
    code, result = receiver.run("begin", "--request", request(release_stamp=stamp))
    assert code == ExitCode.USAGE
    assert "release_stamp" in result["message"]


def test_what_two_releases_share_is_read_once(transfer: Transfer, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv links what releases have in common: of thousands of files a deploy reads those that are new."""
    builder = transfer.builder
    builder.finish(transfer.release)
    release = builder.begin(NEXT_STAMP)
    builder.build(release, {"source/app.py": "print('two')"}, LINKS)
    shared = ".venv/lib/python3.11/site-packages/dep/core.py"
    target = builder.tree(release) / shared
    target.parent.mkdir(parents=True)
    os.link(builder.tree(transfer.release) / shared, target)
    read: list[str] = []
    sha256 = hashlib.file_digest
    monkeypatch.setattr(
        "farrier_release.index.hashlib.file_digest",
        lambda file, name: read.append(file.name) or sha256(file, name),
    )
    index = decode(builder.offer()[0].read_bytes())
    assert {file.path: file.sha256 for file in index.files}[shared] == CORE
    assert len(read) == 1


def test_what_was_altered_in_two_releases_is_read_again(transfer: Transfer) -> None:
    """With the checksum that it had, no host could receive any release from here."""
    builder = transfer.builder
    builder.finish(transfer.release)
    release = builder.begin(NEXT_STAMP)
    builder.build(release, {}, LINKS)
    shared = builder.tree(release) / "source" / "app.py"
    os.link(builder.tree(transfer.release) / "source" / "app.py", shared)
    shared.write_text("print('own')")
    gone = builder.tree(transfer.release) / "source" / "empty.py"
    gone.rename(builder.tree(release) / "source" / "empty.py")
    index = decode(builder.offer()[0].read_bytes())
    found = {file.path: file.sha256 for file in index.files}
    assert found["source/app.py"] == hashlib.sha256(b"print('own')").hexdigest()
    assert found["source/empty.py"] == EMPTY


def test_a_first_offer_reads_its_own_release_alone(builder: Machine) -> None:
    """To read the live one too would take longer than it can spare."""
    make_live(builder.host, OLD)
    fill(builder.tree(OLD), TREE, LINKS)
    builder.build(builder.begin(STAMP), TREE, LINKS)
    builder.offer()
    assert not builder.application.releases.index_path(OLD).exists()


def test_the_index_of_a_release_checks_itself(transfer: Transfer) -> None:
    """What is refused elsewhere is refused for its content, not for its form."""
    index = decode(transfer.index.read_bytes())
    check(index, EXECUTABLE)
    with pytest.raises(NotPortableError):
        check(index, "/usr/bin/another")
    assert decode(index.encode()) == index
    assert index.encode()[4:8] == bytes(4)  # no time of day: the same index is the same file
    assert Link(".venv/lib64", "lib") in index.links


def test_a_host_with_changed_settings_says_so_at_once(receiver: Machine) -> None:
    """What `begin` refuses needs no transfer."""
    with_settings(receiver.host, inventory={"python": "3.12"})
    code, _ = receiver.run("begin", "--request", request(release_stamp=STAMP, inventory={"python": "3.13"}))
    assert code == ExitCode.CONFIGURATION
