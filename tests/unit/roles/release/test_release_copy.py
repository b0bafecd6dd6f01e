"""The controller's half of a transfer: what it keeps, what it fetches and sends, and what it refuses."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shlex
import shutil
import stat
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.farrier.kit.plugins.action import release_copy
from ansible_collections.farrier.kit.plugins.plugin_utils import release_cache
from ansible_collections.farrier.kit.plugins.plugin_utils.release_cache import CacheError, ReleaseCache
from farrier_release import interpreter

from tests.unit.roles.release.conftest import make_live
from tests.unit.roles.release.test_transfer import (
    LINKS,
    NEXT_STAMP,
    OLD,
    STAMP,
    TREE,
    Machine,
    everything,
    fill,
)


def sha256_of(content: bytes) -> str:
    """Its name in packs and in the cache."""
    return hashlib.sha256(content).hexdigest()


def index_file(directory: Path, *contents: bytes, **changes: Any) -> tuple[Path, str]:
    """An index that has arrived, with its checksum."""
    files = [
        [f"source/{number}", 0o644, len(content), 0, sha256_of(content)]
        for number, content in enumerate(contents)
    ]
    path = directory / "index"
    path.write_bytes(gzip.compress(json.dumps({"files": files, **changes}).encode(), mtime=0))
    return path, sha256_of(path.read_bytes())


def pack_file(directory: Path, **contents: bytes) -> Path:
    """A pack that has arrived."""
    path = directory / "pack"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def named(*contents: bytes) -> dict[str, bytes]:
    """Contents by their checksums."""
    return {sha256_of(content): content for content in contents}


class Filled:
    """A cache with one index, of the contents `one` and `two`."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "cache"
        self.cache = ReleaseCache(self.directory)
        self.contents = named(b"one", b"two")
        with self.cache.arrivals() as arrivals:
            self.index = self.cache.add_index(*index_file(arrivals, b"one", b"two"))
            self.cache.add_pack(pack_file(arrivals, **self.contents), self.index, list(self.contents))

    def held(self) -> set[str]:
        """Contents that are kept."""
        return {path.name for path in (self.directory / "contents").iterdir()}

    def add(self, *contents: bytes) -> Path:
        """Another release."""
        with self.cache.arrivals() as arrivals:
            index = self.cache.add_index(*index_file(arrivals, *contents))
            lacking = self.cache.lacking(index)
            pack = {name: content for name, content in named(*contents).items() if name in lacking}
            self.cache.add_pack(pack_file(arrivals, **pack), index, lacking)
        return index


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    """One."""
    return Filled(tmp_path)


def test_only_what_is_lacking_is_asked_for(filled: Filled) -> None:
    """By content: another path, app or host makes no difference."""
    with filled.cache.arrivals() as arrivals:
        index = filled.cache.add_index(*index_file(arrivals, b"two", b"three"))
    assert filled.cache.lacking(index) == [sha256_of(b"three")]
    assert filled.cache.lacking(filled.index) == []


def test_nobody_else_can_read_what_is_kept(filled: Filled) -> None:
    """It is source, and modes travel with files to hosts."""
    for path in (filled.directory, *filled.directory.rglob("*")):
        if path.name != ".lock":
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_pack_is_made_once_for_all_hosts(filled: Filled) -> None:
    """The one of the building host serves hosts that lack the same; another is made of contents."""
    everything = list(filled.contents)
    shutil.move(filled.directory / "contents", filled.directory / "away")
    assert filled.cache.pack(filled.index, everything[::-1]).is_file()
    shutil.move(filled.directory / "away", filled.directory / "contents")
    path = filled.cache.pack(filled.index, everything[:1])
    with tarfile.open(path) as tar:
        content = tar.extractfile(everything[0])
        assert (tar.getnames(), content and content.read()) == (everything[:1], b"one")
    made = path.stat().st_ino
    assert filled.cache.pack(filled.index, everything[:1]).stat().st_ino == made


def test_no_host_gets_what_is_not_of_its_release(filled: Filled) -> None:
    """The cache has the sources of all apps; a host asks for checksums."""
    filled.add(b"secret of another app")
    with pytest.raises(CacheError, match="not in this release"):
        filled.cache.pack(filled.index, [sha256_of(b"secret of another app")])


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a" * 63, "A" * 64])
def test_a_checksum_is_no_path(filled: Filled, name: str) -> None:
    """It comes from a host, and names a file on the controller."""
    with filled.cache.arrivals() as arrivals, pytest.raises(CacheError, match="not the index"):
        filled.cache.add_index(*index_file(arrivals, files=[["source/x", 0o644, 1, 0, name]]))


@pytest.mark.parametrize("changes", [{"files": 7}, {"files": [[1]]}, {"files": [["x", 0, 1, 0, 7]]}])
def test_what_is_no_index_is_refused(filled: Filled, changes: dict[str, Any]) -> None:
    """In words, not with a traceback."""
    with filled.cache.arrivals() as arrivals, pytest.raises(CacheError, match="cannot be read"):
        filled.cache.add_index(*index_file(arrivals, **changes))


def test_a_damaged_index_is_refused(filled: Filled) -> None:
    """Its checksum is what hosts compare with later."""
    with filled.cache.arrivals() as arrivals, pytest.raises(CacheError, match="was damaged in transit"):
        filled.cache.add_index(index_file(arrivals, b"x")[0], "a" * 64)


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        ({sha256_of(b"new"): b"bad"}, "is damaged"),
        ({sha256_of(b"new"): b"longer"}, "which was not requested"),
        ({"../../evil": b"new"}, "which was not requested"),
        ({sha256_of(b"one"): b"one"}, "which was not requested"),
        ({}, "lacks 1"),
    ],
)
def test_a_tampered_pack_does_not_get_into_the_cache(
    filled: Filled, contents: dict[str, bytes], why: str
) -> None:
    """From there it would get to every host, of other apps too."""
    with filled.cache.arrivals() as arrivals:
        index = filled.cache.add_index(*index_file(arrivals, b"one", b"new"))
        with pytest.raises(CacheError, match=why):
            filled.cache.add_pack(pack_file(arrivals, **contents), index, filled.cache.lacking(index))
    assert filled.held() == set(filled.contents)
    assert filled.cache.lacking(index) == [sha256_of(b"new")]


def test_a_pack_that_is_none_is_refused(filled: Filled) -> None:
    """A host that is broken is no traceback here."""
    with filled.cache.arrivals() as arrivals:
        index = filled.cache.add_index(*index_file(arrivals, b"new"))
        (arrivals / "pack").write_bytes(b"no archive")
        with pytest.raises(CacheError, match="The pack is damaged"):
            filled.cache.add_pack(arrivals / "pack", index, [sha256_of(b"new")])


def test_a_content_that_was_spoilt_here_is_fetched_again(filled: Filled) -> None:
    """A disk's fault: the deploy fails once, not for ever."""
    one = sha256_of(b"one")
    (filled.directory / "contents" / one).write_bytes(b"bad")
    with pytest.raises(CacheError, match="was damaged and has been removed"):
        filled.cache.pack(filled.index, [one])
    assert filled.cache.lacking(filled.index) == [one]
    with pytest.raises(CacheError, match="is gone"):
        filled.cache.pack(filled.index, [one])


def test_what_is_no_longer_used_goes(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not grow for ever; what the last indexes that can be read have stays."""
    monkeypatch.setattr(release_cache, "KEPT_INDEXES", 2)
    filled.add(b"one", b"second")
    spoilt = filled.add(b"one", b"third")
    spoilt.write_bytes(b"spoilt on this disk")
    assert sha256_of(b"two") in filled.held()
    filled.add(b"one", b"fourth")
    assert filled.held() == set(named(b"one", b"fourth"))
    assert not filled.index.exists()
    assert not spoilt.exists()


def test_packs_go_after_a_day(filled: Filled) -> None:
    """They can be made again; so does what a killed process has left."""
    old, left = filled.cache.pack(filled.index, list(filled.contents)), filled.directory / "packs" / "tmpx"
    left.mkdir()
    for path in (old, left):
        os.utime(path, (0, 0))
    filled.add(b"three")
    assert not old.exists()
    assert not left.exists()


class LocalAction(release_copy.ActionModule):
    """The action, with machines of the tests in place of a connection."""

    def __init__(self, machine: Machine, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> None:
        self.machine, self.monkeypatch = machine, monkeypatch
        self._task = SimpleNamespace(args=arguments, check_mode=False, async_val=0)
        self._connection = SimpleNamespace(
            _shell=SimpleNamespace(join_path=os.path.join, tmpdir=None), fetch_file=self.fetch, reset=None
        )
        self.moved: list[tuple[str, int]] = []
        self.home = machine.directory / "home of ann"

    def run(self, *_: Any) -> dict[str, Any]:
        """Run it as Ansible does, and clean up as it does."""
        try:
            return super().run()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def fetch(self, path: str, to: str) -> None:
        """From the host."""
        shutil.copyfile(path, to)
        self.moved.append(("fetch", Path(to).stat().st_size))

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        self.home.mkdir(mode=0o700)
        return str(self.home)

    def _transfer_file(self, local_path: str, remote_path: str) -> str:
        shutil.copyfile(local_path, remote_path)
        self.moved.append(("send", Path(remote_path).stat().st_size))
        return remote_path

    def _low_level_execute_command(self, command: str, **options: Any) -> dict[str, Any]:
        _tool, _app, _test, phase, _json, *rest = shlex.split(command)
        assert options["in_data"], "ssh would ask for a terminal"
        self.monkeypatch.setattr("sys.stdin", io.StringIO(options["in_data"].decode()))
        code, found = self.machine.run(phase, *rest)
        return {"rc": code, "stdout": json.dumps(found), "stderr": ""}


@pytest.fixture
def machines(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Machine]]:
    """A host that builds, and two others."""
    monkeypatch.setattr(interpreter, "choose", lambda application, requires: sys.executable)
    found = [Machine(directory / name, capsys) for name in ("a", "b", "c")]
    for machine in found:
        make_live(machine.host, OLD)
    yield found
    for machine in found:
        machine.host.close()


def test_a_fleet_has_one_release(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each host the same bytes; and of the next release both ways only what has changed."""
    cache = {"app": "test", "cache_directory": str(tmp_path / "cache")}
    builder, *receivers = machines
    for stamp, files, travelled in (
        (STAMP, TREE, len(set(TREE.values()))),
        (NEXT_STAMP, {**TREE, "source/app.py": "print('two')"}, 1),
    ):
        release = builder.begin(stamp)
        builder.build(release, files, LINKS)
        offer = LocalAction(builder, monkeypatch, phase="offer", lease=builder.token, **cache).run()
        assert (offer["offered"], offer["travelled"]) == (True, travelled), offer
        for machine in receivers:
            machine.begin(stamp)
            index = {"lease": machine.token, "index": offer["index"]}
            result = LocalAction(machine, monkeypatch, phase="receive", **index, **cache).run()
            assert result["travelled"] == travelled, result
            assert everything(machine.tree(release)) == everything(builder.tree(release))
        for machine in machines:
            machine.finish(release)


def test_nothing_is_sent_that_nobody_lacks(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second offer of the same fetches an index and no pack; a host that has all gets an index."""
    builder, receiver, _ = machines
    builder.build(builder.begin(STAMP), TREE, LINKS)
    arguments = {"app": "test", "phase": "offer", "lease": builder.token, "cache_directory": str(tmp_path)}
    first, second = (LocalAction(builder, monkeypatch, **arguments) for _ in range(2))
    assert first.run()["index"] == second.run()["index"]
    assert [len(action.moved) for action in (first, second)] == [2, 1]
    fill(receiver.tree(OLD), TREE, LINKS)
    receiver.begin(STAMP)
    index = str(next((tmp_path / "indexes").iterdir()))
    third = LocalAction(
        receiver, monkeypatch, **{**arguments, "phase": "receive", "lease": receiver.token, "index": index}
    )
    assert third.run()["travelled"] == 0
    assert len(third.moved) == 1


def test_what_cannot_be_had_is_not_fetched(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release with a link to a place of its host: the others build, and the deploy goes on."""
    monkeypatch.setenv("HOME", str(tmp_path))
    builder = machines[0]
    builder.build(builder.begin(STAMP), TREE, {**LINKS, "source/media": "/var/lib/media"})
    action = LocalAction(builder, monkeypatch, app="test", phase="offer", lease=builder.token)
    offer = action.run()
    assert (offer["offered"], offer["index"], offer.get("failed")) == (False, "", None)
    assert action.moved == []
    # The default is in the home directory of whoever runs the deploy.
    assert (tmp_path / ".cache" / "farrier" / "releases").is_dir()


def test_a_failure_on_a_host_is_one_of_the_task(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the words of the tool, and what still serves."""
    machine = machines[0]
    machine.begin(STAMP)
    arguments = {"app": "test", "lease": machine.token, "cache_directory": str(tmp_path / "cache")}
    result = LocalAction(machine, monkeypatch, phase="offer", **arguments).run()
    assert result["failed"]
    assert result["msg"].startswith("test: offer failed. offer comes after build")
    gone = str(tmp_path / f"{'a' * 64}.json.gz")
    Path(gone).write_bytes(b"no index")
    result = LocalAction(machine, monkeypatch, phase="receive", index=gone, **arguments).run()
    assert result["failed"]
    assert "was damaged in transit" in result["msg"]
    assert f"Still live and serving: {OLD}" in result["msg"]


def test_a_failure_is_a_problem_where_that_was_asked(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deploy of several hosts stops for all of them, in words."""
    machines[0].begin(STAMP)
    arguments = {"app": "test", "lease": machines[0].token, "cache_directory": str(tmp_path)}
    result = LocalAction(machines[0], monkeypatch, phase="offer", defer_failure=True, **arguments).run()
    assert result["problem"].startswith("test: offer failed. offer comes after build")
    assert not result["failed"]


def test_nothing_is_received_without_an_index(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that was written wrongly says so, before it looks for a file."""
    with pytest.raises(AnsibleActionFail, match="all of the following are missing: index"):
        LocalAction(machines[0], monkeypatch, app="test", phase="receive").run()


def test_a_cache_that_was_removed_is_said(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between offer and receive; the host keeps its lease, and the deploy gives it up."""
    builder, receiver, _ = machines
    cache = {"app": "test", "cache_directory": str(tmp_path / "cache")}
    builder.build(builder.begin(STAMP), TREE, LINKS)
    receiver.begin(STAMP)
    offer = LocalAction(builder, monkeypatch, phase="offer", lease=builder.token, **cache).run()
    for name in ("contents", "packs"):
        for path in (tmp_path / "cache" / name).iterdir():
            path.unlink()
    index = {"lease": receiver.token, "index": offer["index"]}
    result = LocalAction(receiver, monkeypatch, phase="receive", **index, **cache).run()
    assert result["failed"]
    assert "is gone. Next: deploy again" in result["msg"]
    shutil.rmtree(tmp_path / "cache")
    result = LocalAction(receiver, monkeypatch, phase="receive", **index, **cache).run()
    assert "receive failed on the controller" in result["msg"]


def test_check_mode_moves_nothing(machines: list[Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no lease to show."""
    for phase, changed in (("offer", False), ("receive", True)):
        action = LocalAction(machines[0], monkeypatch, app="test", phase=phase, lease="", index="")
        action._task.check_mode = True
        assert action.run()["changed"] is changed
        assert not action.moved
