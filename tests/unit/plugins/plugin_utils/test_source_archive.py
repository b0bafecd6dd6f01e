"""From the inventory's `source` to one archive; a source that cannot make a release is refused."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.source_archive import (
    Archive,
    SourceError,
    archive_tree,
    keep_completion,
    make,
    make_archive,
)

LOCKED = "dep==1.0 --hash=sha256:" + "0" * 64 + "\n"


def git(directory: Path, *arguments: str) -> str:
    """Run git with an identity of its own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def write(root: Path, **files: str) -> None:
    """Files by name; `__` stands for a slash, `_dot_` for a dot."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def names(archive: Archive) -> list[str]:
    """What is in an archive."""
    with tarfile.open(archive.path) as tar:
        return tar.getnames()


def content(archive: Archive, name: str) -> str:
    """Content of one file of an archive."""
    with tarfile.open(archive.path) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read().decode()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where archives are kept."""
    return tmp_path / "cache"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A source that is a mere directory."""
    root = tmp_path / "plain"
    write(root, requirements_dot_txt=LOCKED, shop__main_dot_py="app = 1\n", run="#!/bin/sh\n")
    (root / "run").chmod(0o755)
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two versions."""
    root = tmp_path / "repository"
    write(root, requirements_dot_txt=LOCKED, main_dot_py="VERSION = 1\n", _dot_gitignore="*.log\nbuild/\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    git(root, "tag", "v1.0")
    write(root, main_dot_py="VERSION = 2\n")
    git(root, "commit", "-qam", "two")
    return root


class TestPath:
    """A directory on the controller."""

    def test_the_same_content_gives_the_same_archive(self, plain: Path, tmp_path: Path) -> None:
        """Wherever and whenever it was made: it decides whether there is anything to deploy."""
        first = make_archive({"path": str(plain)}, tmp_path / "one")
        copy = tmp_path / "copy"
        subprocess.run(["cp", "-r", plain, copy], check=True)
        os.utime(copy / "run", (1, 1))
        second = make_archive({"path": str(copy)}, tmp_path / "two")
        assert first.sha256 == second.sha256
        assert first.sha256 == hashlib.sha256(Path(first.path).read_bytes()).hexdigest()
        assert first.version == first.sha256[:8]

    def test_it_holds_files_programs_and_links_and_nothing_of_their_owner(
        self, plain: Path, cache: Path
    ) -> None:
        """Sorted, without times."""
        (plain / "link").symlink_to("shop/main.py")
        archive = make_archive({"path": str(plain)}, cache)
        with tarfile.open(archive.path) as tar:
            members = {member.name: member for member in tar}
        assert list(members) == ["link", "requirements.txt", "run", "shop/main.py"]
        assert members["run"].mode == 0o755
        assert members["shop/main.py"].mode == 0o644
        assert members["link"].linkname == "shop/main.py"
        assert {(member.uid, member.mtime, member.uname) for member in members.values()} == {(0, 0, "")}

    def test_what_tools_leave_behind_stays_away(self, plain: Path, cache: Path) -> None:
        """Environments, compiled files, downloaded packages, at any depth."""
        write(
            plain,
            _dot_venv__bin__python="",
            shop____pycache____main_dot_pyc="",
            web__node_modules__x="",
            old_dot_pyc="",
        )
        (plain / "shop" / "__pycache__").mkdir()
        (plain / "shop" / "__pycache__" / "x.pyc").touch()
        assert names(make_archive({"path": str(plain)}, cache)) == ["requirements.txt", "run", "shop/main.py"]

    def test_in_a_checkout_what_git_ignores_stays_away(self, repository: Path, cache: Path) -> None:
        """What is new and not ignored comes along: it is what the developer sees."""
        write(repository, noise_dot_log="", build__x="", new_dot_py="")
        (repository / "main.py").unlink()
        archive = make_archive({"path": str(repository)}, cache)
        assert names(archive) == [".gitignore", "new.py", "requirements.txt"]

    def test_what_git_ignores_is_sent_on_request(self, repository: Path, cache: Path) -> None:
        """A built front end, a file; what is left out of it otherwise stays away."""
        write(
            repository,
            build__index_dot_html="<html>",
            build__node_modules__x="",
            noise_dot_log="",
            other_dot_log="",
        )
        archive = make_archive({"path": str(repository), "include": ["build", "noise.log"]}, cache)
        assert names(archive) == [
            *(".gitignore", "build/index.html", "main.py", "noise.log", "requirements.txt")
        ]
        assert archive.notes == []
        with pytest.raises(SourceError, match=r"has no dist, which source\.include names"):
            make_archive({"path": str(repository), "include": ["dist"]}, cache)
        with pytest.raises(SourceError, match="deploy without version"):
            make_archive({"path": str(repository), "include": ["build"]}, cache, version="v1.0")

    def test_a_front_end_that_git_ignores_is_named(self, repository: Path, cache: Path) -> None:
        """And how to send it; a tool's cache or environment is none."""
        write(
            repository,
            _dot_gitignore="dist/\nenv/\nhtmlcov/\n.cache/\nobjects/\nnode_modules/\n",
            web__dist__assets__app_dot_js="",
            env__pyvenv_dot_cfg="",
            env__style_dot_css="",
            htmlcov__index_dot_html="",
            _dot_cache__x_dot_js="",
            objects__x_dot_o="",
            node_modules__x__index_dot_js="",
        )
        for _ in range(2):  # also when the archive is there already
            assert make_archive({"path": str(repository)}, cache).notes == [
                "not sent, as .gitignore says: web/dist "
                "(a built front end? source.include: [web/dist] sends it)"
            ]
        assert make_archive({"path": str(repository), "include": ["web/dist/assets"]}, cache).notes == []

    def write_private(self, root: Path) -> None:
        key = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        write(
            root,
            _dot_env="TOKEN=1\n",
            _dot_env_dot_example="TOKEN=\n",
            web___dot_env_dot_production="TOKEN=2\n",
            id_ed25519=key,
            ca_dot_pem="-----BEGIN CERTIFICATE-----\n",
            tls_dot_pem=key,
            id_card_dot_py="",
            data__app_dot_sqlite3="",
        )

    PRIVATE = (".env", "data/app.sqlite3", "id_ed25519", "tls.pem", "web/.env.production")

    def test_secrets_and_databases_of_a_directory_stay_away(self, plain: Path, cache: Path) -> None:
        """They are the machine's; each is named, and sent on request."""
        self.write_private(plain)
        archive = make_archive({"path": str(plain)}, cache)
        assert set(self.PRIVATE).isdisjoint(names(archive))
        assert {".env.example", "ca.pem", "id_card.py"} <= set(names(archive))
        assert archive.notes == [
            f"not sent: {', '.join(self.PRIVATE)} (secrets or data; source.include sends them)"
        ]
        archive = make_archive({"path": str(plain), "include": list(self.PRIVATE)}, cache)
        assert set(self.PRIVATE) <= set(names(archive))
        assert archive.notes == []

    def test_of_a_checkout_only_those_that_git_tracks_are_sent(self, repository: Path, cache: Path) -> None:
        """Somebody has committed those on purpose."""
        write(repository, fixture_dot_db="")
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "fixture")
        self.write_private(repository)
        sent = names(make_archive({"path": str(repository)}, cache))
        assert "fixture.db" in sent
        assert set(self.PRIVATE).isdisjoint(sent)

    def test_an_environment_file_in_git_is_named(self, repository: Path, cache: Path) -> None:
        """It may switch on what is for development; only those that the project can find are named."""
        write(
            repository,
            _dot_env="DEBUG=1\n",
            web___dot_env="",
            app___dot_env="",
            app__requirements_dot_txt=LOCKED,
        )
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "settings")
        source: dict[str, Any] = {"subdir": "app"}
        for _ in range(2):  # also when the archive is there already
            for place in ({"path": str(repository)}, {"git": str(repository), "version": "main"}):
                assert make_archive(source | place, cache).notes == [
                    "sent as part of the source: .env, app/.env (the app may read there what env and secrets "
                    "do not set; to leave that out: hooks.before_build: [rm ../.env .env])"
                ]
        source |= {"path": str(repository), "include": [".env", "app/.env"]}
        assert make_archive(source, cache).notes == []

    @pytest.mark.parametrize("inside", ["", "app"])
    def test_a_checkout_of_somebody_else_is_refused(
        self, repository: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, inside: str
    ) -> None:
        """With git's own words and its own remedy: as a mere directory, all that is ignored would be sent."""
        write(repository, app__requirements_dot_txt=LOCKED)
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        with pytest.raises(SourceError, match="dubious ownership") as caught:
            make_archive({"path": str(repository / inside)}, cache)
        assert f"git config --global --add safe.directory {repository}" in str(caught.value)

    def test_a_checkout_that_is_broken_is_refused(self, repository: Path, cache: Path) -> None:
        """It is no mere directory either."""
        (repository / ".git" / "HEAD").unlink()
        with pytest.raises(SourceError, match=r"git refuses the checkout .*not a git repository"):
            make_archive({"path": str(repository)}, cache)

    @pytest.fixture
    def with_submodule(self, repository: Path, tmp_path: Path) -> Path:
        """A repository with another one in it."""
        write(tmp_path / "library", code_dot_py="", _dot_gitignore="*.log\n")
        for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one")):
            git(tmp_path / "library", *arguments)
        add = (
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            str(tmp_path / "library"),
            "lib",
        )
        git(repository, *add)
        git(repository, "commit", "-qm", "lib")
        return repository

    def test_submodules_of_a_checkout_are_sent(self, with_submodule: Path, cache: Path) -> None:
        """As they lie there, and never silently empty."""
        write(with_submodule, lib__new_dot_py="", lib__noise_dot_log="")
        sent = names(make_archive({"path": str(with_submodule)}, cache))
        assert [name for name in sent if name.startswith("lib/")] == [
            "lib/.gitignore",
            "lib/code.py",
            "lib/new.py",
        ]
        git(with_submodule, "submodule", "--quiet", "deinit", "--force", "lib")
        with pytest.raises(
            SourceError, match=r"submodule lib of .* is not checked out: .* submodule update --init"
        ):
            make_archive({"path": str(with_submodule)}, cache)

    @pytest.mark.parametrize("kind", ["path", "git"])
    def test_submodules_of_a_version_are_refused(self, with_submodule: Path, cache: Path, kind: str) -> None:
        """No commit contains them."""
        with pytest.raises(SourceError, match="has submodules, which no commit contains: lib"):
            make_archive({kind: str(with_submodule)}, cache, version="main")

    def test_a_pointer_of_git_lfs_is_refused(self, plain: Path, cache: Path) -> None:
        """The app would open it as a picture, in production."""
        write(plain, logo_dot_png="version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        with pytest.raises(SourceError, match=r"logo\.png is a pointer of Git LFS"):
            make_archive({"path": str(plain)}, cache)

    def test_a_clean_checkout_is_named_after_its_commit(self, repository: Path, cache: Path) -> None:
        """And one with changes after its content, since no commit is what it is."""
        assert make_archive({"path": str(repository)}, cache).version == git(
            repository, "rev-parse", "--short=10", "HEAD"
        )
        write(repository, main_dot_py="VERSION = 3\n")
        archive = make_archive({"path": str(repository)}, cache)
        assert archive.version == archive.sha256[:8]

    def test_a_directory_within_a_checkout(self, repository: Path, cache: Path) -> None:
        """Only it is taken, and only its own changes count."""
        write(repository, app__requirements_dot_txt=LOCKED)
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "app")
        write(repository, elsewhere_dot_py="")
        archive = make_archive({"path": str(repository / "app")}, cache)
        assert names(archive) == ["requirements.txt"]
        assert archive.version == git(repository, "rev-parse", "--short=10", "HEAD")

    def test_a_version_of_a_checkout(self, repository: Path, cache: Path) -> None:
        """As committed, whatever lies in the directory now."""
        write(repository, main_dot_py="VERSION = 3\n")
        archive = make_archive({"path": str(repository)}, cache, version="v1.0")
        assert archive.version == "v1.0"
        assert content(archive, "main.py") == "VERSION = 1\n"

    def test_a_version_of_a_directory_within_a_checkout(self, repository: Path, cache: Path) -> None:
        """The directory is the source, not the repository."""
        write(repository, app__requirements_dot_txt=LOCKED)
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "app")
        archive = make_archive({"path": str(repository / "app")}, cache, version="main")
        assert names(archive) == ["requirements.txt"]

    @pytest.mark.parametrize("version", ["v9", "--all", "HEAD:main.py"])
    def test_an_unknown_version(self, repository: Path, cache: Path, version: str) -> None:
        """With the command that lists the known ones."""
        with pytest.raises(SourceError, match="has no version") as caught:
            make_archive({"path": str(repository)}, cache, version=version)
        assert "tag" in str(caught.value)

    def test_a_version_of_what_is_no_checkout(self, plain: Path, cache: Path) -> None:
        """A mere directory has only what is in it."""
        with pytest.raises(SourceError, match="not a git checkout"):
            make_archive({"path": str(plain)}, cache, version="v1")

    def test_a_directory_that_is_not_there(self, tmp_path: Path, cache: Path) -> None:
        """Or is a file."""
        for path in (tmp_path / "absent", Path(__file__)):
            with pytest.raises(SourceError, match=r"correct source\.path"):
                make_archive({"path": str(path)}, cache)

    def test_an_empty_directory(self, tmp_path: Path, cache: Path) -> None:
        """There is nothing to deploy."""
        (tmp_path / "empty").mkdir()
        with pytest.raises(SourceError, match="holds no files"):
            make_archive({"path": str(tmp_path / "empty")}, cache)

    @pytest.mark.parametrize("target", ["/etc/hosts", "../outside", "shop/../../outside"])
    def test_a_link_that_leads_out(self, plain: Path, cache: Path, target: str) -> None:
        """On a host it would lead to something else."""
        (plain / "link").symlink_to(target)
        with pytest.raises(SourceError, match="points outside the source"):
            make_archive({"path": str(plain)}, cache)


class TestCache:
    """What is remembered, and when not."""

    def settle(self, root: Path) -> None:
        """Make all files old enough to be remembered: a change within the same instant could not be seen."""
        before = time.time() - 10
        for path in root.rglob("*"):
            os.utime(path, (before, before), follow_symlinks=False)

    @pytest.fixture(autouse=True)
    def no_racy_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel stamps the change of a file's time itself with the present."""
        monkeypatch.setattr(make, "_RACY_SECONDS", -1)

    def test_nothing_new_is_not_packed_again(
        self, plain: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A deploy of what is live already should cost nothing."""
        first = make_archive({"path": str(plain)}, cache)
        monkeypatch.setattr(
            archive_tree.Tree,
            "write",
            None,
        )
        second = make_archive({"path": str(plain)}, cache)
        assert (first.changed, second.changed) == (True, False)
        assert (first.sha256, first.project) == (second.sha256, second.project)

    def test_a_change_that_keeps_size_and_time_is_seen(self, plain: Path, cache: Path) -> None:
        """As by a tool that restores times; the kernel's own time of change gives it away."""
        times = (plain / "shop" / "main.py").stat()
        first = make_archive({"path": str(plain)}, cache)
        write(plain, shop__main_dot_py="app = 2\n")
        os.utime(plain / "shop" / "main.py", ns=(times.st_atime_ns, times.st_mtime_ns))
        assert make_archive({"path": str(plain)}, cache).sha256 != first.sha256

    def test_a_file_that_may_still_change_is_not_remembered(
        self, plain: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Within the clock's grain a second write looks like the first."""
        monkeypatch.setattr(make, "_RACY_SECONDS", 1000)
        make_archive({"path": str(plain)}, cache)
        assert not list(cache.glob("known/*"))

    def test_another_subdir_or_module_is_looked_at_anew(self, plain: Path, cache: Path) -> None:
        """What is remembered includes what was found in the source."""
        make_archive({"path": str(plain)}, cache)
        with pytest.raises(SourceError, match="no folder nowhere"):
            make_archive({"path": str(plain), "subdir": "nowhere"}, cache)

    def test_an_archive_that_was_removed_is_made_again(self, plain: Path, cache: Path) -> None:
        """Somebody has cleared the cache, in part."""
        first = make_archive({"path": str(plain)}, cache)
        Path(first.path).unlink()
        assert Path(make_archive({"path": str(plain)}, cache).path).exists()

    def test_what_nobody_asked_for_in_a_month_goes(self, plain: Path, cache: Path) -> None:
        """When something new is packed."""
        first = make_archive({"path": str(plain)}, cache)
        os.utime(first.path, (1, 1))
        write(plain, shop__main_dot_py="app = 2\n")
        second = make_archive({"path": str(plain)}, cache)
        assert [path.name for path in cache.glob("*.tar.gz")] == [f"{second.sha256}.tar.gz"]


class TestGit:
    """A repository, reached by its address."""

    def test_versions(self, repository: Path, cache: Path) -> None:
        """A tag keeps its name; a branch, which moves, is named after its commit."""
        tag = make_archive({"git": str(repository), "version": "v1.0"}, cache)
        assert (tag.version, content(tag, "main.py")) == ("v1.0", "VERSION = 1\n")
        branch = make_archive({"git": str(repository), "version": "main"}, cache)
        head = git(repository, "rev-parse", "HEAD")
        assert (branch.version, content(branch, "main.py")) == (head[:10], "VERSION = 2\n")
        assert make_archive({"git": str(repository), "version": head}, cache).sha256 == branch.sha256

    def test_the_version_of_the_run_wins(self, repository: Path, cache: Path) -> None:
        """`-e version=` is what the operator wants now."""
        archive = make_archive({"git": str(repository), "version": "main"}, cache, version="v1.0")
        assert archive.version == "v1.0"

    def test_a_branch_that_moved_is_fetched(self, repository: Path, cache: Path) -> None:
        """Also when it was rewritten."""
        source = {"git": str(repository), "version": "main"}
        make_archive(source, cache)
        git(repository, "commit", "--amend", "-qm", "rewritten")
        write(repository, main_dot_py="VERSION = 4\n")
        git(repository, "commit", "-qam", "four")
        assert content(make_archive(source, cache), "main.py") == "VERSION = 4\n"

    def test_a_commit_that_is_here_needs_no_repository(self, repository: Path, cache: Path) -> None:
        """A forge that is down stops no rollout of what was fetched before."""
        head = git(repository, "rev-parse", "HEAD")
        make_archive({"git": str(repository), "version": "main"}, cache)
        repository.rename(repository.with_name("gone"))
        assert make_archive({"git": str(repository), "version": head}, cache).version == head[:10]

    def test_an_unknown_version(self, repository: Path, cache: Path) -> None:
        """With the newest known ones."""
        with pytest.raises(SourceError, match=r"has no version 'v2'.*v1\.0"):
            make_archive({"git": str(repository), "version": "v2"}, cache)
        with pytest.raises(SourceError, match="begins with a dash"):
            make_archive({"git": str(repository), "version": "--upload-pack=x"}, cache)
        with pytest.raises(SourceError, match="has no version"):
            make_archive({"git": str(repository), "version": "f" * 40}, cache)

    def test_a_repository_that_cannot_be_reached(self, tmp_path: Path, cache: Path) -> None:
        """All that git says, not its last line alone."""
        with pytest.raises(
            SourceError, match=r"Cannot fetch .*does not appear to be a git repository"
        ) as caught:
            make_archive({"git": str(tmp_path / "absent"), "version": "main"}, cache)
        assert "Could not read from remote repository" in str(caught.value)

    def test_the_same_content_in_two_commits_is_the_same_archive(self, repository: Path, cache: Path) -> None:
        """A commit without changes is nothing new to deploy."""
        first = make_archive({"git": str(repository), "version": "main"}, cache)
        git(repository, "commit", "-q", "--allow-empty", "-m", "empty")
        assert make_archive({"git": str(repository), "version": "main"}, cache).sha256 == first.sha256


class TestArchive:
    """A file that somebody else has packed."""

    def pack(self, path: Path, files: dict[str, bytes]) -> str:
        """Pack files; returns the checksum."""
        with tarfile.open(path, "w:gz") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()

    def source(self, path: Path, files: dict[str, bytes]) -> dict[str, Any]:
        """The inventory's entry for packed files."""
        return {"archive": str(path), "checksum": self.pack(path, files)}

    def test_the_wrapping_directory_is_taken_off(self, tmp_path: Path, cache: Path) -> None:
        """Release archives carry one; a project that is in it is found in the source's root."""
        source = self.source(
            tmp_path / "a.tgz", {"shop-1.0/requirements.txt": LOCKED.encode(), "shop-1.0/main.py": b""}
        )
        assert names(make_archive(source, cache)) == ["main.py", "requirements.txt"]

    def test_a_subdir_of_that_name_keeps_it(self, tmp_path: Path, cache: Path) -> None:
        """The operator has looked into the archive."""
        source = self.source(
            tmp_path / "a.tgz", {"shop/requirements.txt": LOCKED.encode(), "shop/main.py": b""}
        )
        assert names(make_archive({**source, "subdir": "shop"}, cache)) == [
            "shop/main.py",
            "shop/requirements.txt",
        ]

    def test_from_an_address(self, tmp_path: Path, cache: Path) -> None:
        """Downloaded once."""
        source = self.source(tmp_path / "a.tgz", {"requirements.txt": LOCKED.encode()})
        address = (tmp_path / "a.tgz").as_uri()
        first = make_archive({**source, "archive": address}, cache)
        (tmp_path / "a.tgz").unlink()
        for note in cache.glob("known/*"):
            note.unlink()
        assert make_archive({**source, "archive": address}, cache).sha256 == first.sha256

    def test_another_content_than_the_checksum_says(self, tmp_path: Path, cache: Path) -> None:
        """Both checksums are named; nothing stays in the cache."""
        source = self.source(tmp_path / "a.tgz", {"requirements.txt": LOCKED.encode()})
        wrong = {**source, "checksum": "sha256:" + "1" * 64}
        for place in (source["archive"], (tmp_path / "a.tgz").as_uri()):
            with pytest.raises(SourceError, match="does not match its checksum") as caught:
                make_archive({**wrong, "archive": place}, cache)
            assert source["checksum"] in str(caught.value)
        assert not list(cache.glob("downloads/*"))

    @pytest.mark.parametrize("checksum", ["", "md5:123", "sha256:123"])
    def test_without_a_usable_checksum(self, tmp_path: Path, cache: Path, checksum: str) -> None:
        """What nobody can check is not deployed."""
        with pytest.raises(SourceError, match="no usable checksum"):
            make_archive({"archive": str(tmp_path / "a.tgz"), "checksum": checksum}, cache)

    def test_what_is_not_there(self, tmp_path: Path, cache: Path) -> None:
        """A file, or an address."""
        for place in (str(tmp_path / "absent.tgz"), (tmp_path / "absent.tgz").as_uri()):
            with pytest.raises(SourceError, match=r"Cannot (read|download)"):
                make_archive({"archive": place, "checksum": "0" * 64}, cache)

    def test_what_is_no_archive(self, tmp_path: Path, cache: Path) -> None:
        """With the right checksum."""
        (tmp_path / "a.tgz").write_text("<html>")
        checksum = hashlib.sha256(b"<html>").hexdigest()
        with pytest.raises(SourceError, match="not a tar archive"):
            make_archive({"archive": str(tmp_path / "a.tgz"), "checksum": checksum}, cache)

    @pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
    def test_names_that_lead_out(self, tmp_path: Path, cache: Path, name: str) -> None:
        """Found on the controller already."""
        source = self.source(tmp_path / "a.tgz", {name: b"", "requirements.txt": LOCKED.encode()})
        with pytest.raises(SourceError, match="points outside it"):
            make_archive(source, cache)

    def test_it_has_no_versions(self, tmp_path: Path, cache: Path) -> None:
        """`-e version=` would be ignored silently."""
        with pytest.raises(SourceError, match="has no versions"):
            make_archive({"archive": "/a.tgz", "checksum": "0" * 64}, cache, version="v1")


class TestProject:
    """What has to be in a source."""

    def inspect(self, root: Path, cache: Path, **source: str) -> Any:
        """The project of a source."""
        module = source.pop("module", "")
        return make_archive({"path": str(root), **source}, cache, module=module).project

    def test_without_a_lock_file(self, tmp_path: Path, cache: Path) -> None:
        """The refusal says how to make one."""
        write(tmp_path / "s", pyproject_dot_toml='[project]\nname = "shop"\n')
        with pytest.raises(SourceError, match="no lock file") as caught:
            self.inspect(tmp_path / "s", cache)
        assert "uv lock" in str(caught.value)
        assert "--generate-hashes" in str(caught.value)

    def test_what_pyproject_says(self, tmp_path: Path, cache: Path) -> None:
        """Name, Python, and whether it is a package."""
        text = '[project]\nname = "shop"\nrequires-python = ">=3.12"\n'
        write(tmp_path / "s", pyproject_dot_toml=text, uv_dot_lock="")
        project = self.inspect(tmp_path / "s", cache)
        assert (project.package, project.requires_python, project.installable) == ("shop", ">=3.12", False)
        assert project.lock == {"kind": "uv.lock", "path": "uv.lock", "unused": []}
        write(tmp_path / "s", pyproject_dot_toml=text + "[build-system]\nrequires = []\n")
        assert self.inspect(tmp_path / "s", cache).installable is True
        write(tmp_path / "s", pyproject_dot_toml=text + "[build-system]\n[tool.uv]\npackage = false\n")
        assert self.inspect(tmp_path / "s", cache).installable is False

    @pytest.mark.parametrize(
        ("settings", "installable"),
        [
            ("[tool.poetry]\npackage-mode = false\n", False),
            ("[tool.pdm]\ndistribution = false\n", False),
            ('[tool.poetry]\nname = "shop-web"\n', False),
            ('[tool.poetry]\nname = "other-shop"\n', True),
            ('[tool.poetry]\nname = "inner"\n', True),
            ('[tool.poetry]\nname = "x"\npackages = [{include = "y"}]\n', True),
        ],
    )
    def test_a_project_that_is_no_package_is_never_built(
        self, tmp_path: Path, cache: Path, settings: str, installable: bool
    ) -> None:
        """Said so, or found by Poetry's own rule; its src/ is imported from instead."""
        build = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
        write(
            tmp_path / "s",
            pyproject_dot_toml=settings + build,
            requirements_dot_txt=LOCKED,
            other_shop__main_dot_py="",
            src__inner_dot_py="",
        )
        project = self.inspect(tmp_path / "s", cache)
        assert (project.installable, project.import_directory) == (installable, "" if installable else "src")

    def test_the_best_lock_file_wins(self, tmp_path: Path, cache: Path) -> None:
        """A tool's own, then the standard's, then a list that may be older; the others are named."""
        root = tmp_path / "s"
        order = ["requirements.txt", "Pipfile.lock", "pylock.toml", "pdm.lock", "poetry.lock", "uv.lock"]
        root.mkdir()
        for position, kind in enumerate(order):
            (root / kind).write_text(LOCKED if kind == "requirements.txt" else "")
            lock = self.inspect(root, cache).lock
            assert (lock["kind"], lock["unused"]) == (kind, order[:position][::-1])

    def test_a_uv_lock_of_what_only_poetry_reads_is_passed_over(self, tmp_path: Path, cache: Path) -> None:
        """`uv lock` makes an empty one there."""
        write(tmp_path / "s", pyproject_dot_toml="[tool.poetry]\n", uv_dot_lock="", poetry_dot_lock="")
        assert self.inspect(tmp_path / "s", cache).lock["kind"] == "poetry.lock"

    @pytest.mark.parametrize(
        ("name", "content", "command"),
        [
            ("pyproject.toml", "[tool.poetry]\n", "poetry lock"),
            ("pyproject.toml", "[tool.pdm]\n", "pdm lock"),
            ("Pipfile", "[packages]\n", "pipenv lock"),
        ],
    )
    def test_the_missing_lock_is_made_by_the_projects_own_tool(
        self, tmp_path: Path, cache: Path, name: str, content: str, command: str
    ) -> None:
        """Another tool's lock would hold other versions."""
        root = tmp_path / "s"
        root.mkdir()
        (root / name).write_text(content)
        with pytest.raises(SourceError, match=f"Make one with `{command}`, and add it") as caught:
            self.inspect(root, cache)
        assert "uv " not in str(caught.value)

    @pytest.mark.parametrize(
        ("constraint", "specifier"),
        [
            ("^3.11", ">=3.11,<4"),
            ("~3.11", ">=3.11,<3.12"),
            ("~3.11.2", ">=3.11.2,<3.12"),
            (">=3.11,<3.14", ">=3.11,<3.14"),
            ("3.12.*", "==3.12.*"),
            ("3.11 || 3.13", ""),
        ],
    )
    def test_the_python_that_poetry_asks_for(
        self, tmp_path: Path, cache: Path, constraint: str, specifier: str
    ) -> None:
        """In the words of the packaging specifications."""
        text = f'[tool.poetry.dependencies]\npython = "{constraint}"\n'
        write(tmp_path / "s", pyproject_dot_toml=text, poetry_dot_lock="")
        assert self.inspect(tmp_path / "s", cache).requires_python == specifier

    def test_the_python_that_a_pipfile_asks_for(self, tmp_path: Path, cache: Path) -> None:
        """A version, to the patch or not."""
        root = tmp_path / "s"
        write(root, Pipfile='[requires]\npython_version = "3.12"\n', Pipfile_dot_lock="{}")
        assert self.inspect(root, cache).requires_python == "==3.12.*"
        write(root, Pipfile='[requires]\npython_full_version = "3.12.4"\n')
        assert self.inspect(root, cache).requires_python == "==3.12.4"

    SHOP = """
[project]
name = "Shop_X"
dependencies = ["Dep>=1,<2", "far @ git+https://git.example.org/far", "near"]
[project.optional-dependencies]
prod = ["more[fast]==3 ; python_version > '3'"]
all = ["shop-x[prod]"]
[tool.uv.sources]
near = {workspace = true}
"""
    SHOP_LOCK = """
[[package]]
name = "shop-x"
[package.metadata]
requires-dist = [
    { name = "dep", specifier = "<2,>=1" },
    { name = "far", git = "https://git.example.org/far" },
    { name = "more", extras = ["fast"], marker = "extra == 'prod'", specifier = "==3" },
    { name = "near", editable = "near" },
    { name = "shop-x", extras = ["prod"], marker = "extra == 'all'" },
]
"""

    @pytest.mark.parametrize(
        ("old", "new", "named"),
        [
            ("", "", ""),
            (">=1,<2", ">=1", "dep"),
            ('"near"]', '"near", "New-One"]', "new-one"),
            ('"near"]', "]", "near"),
            ("==3", "==4", "more"),
            ('name = "Shop_X"', 'name = "Shop_X"\ndynamic = ["dependencies"]', ""),
            ("prod = [", 'prod = ["other", ', "other"),
        ],
    )
    def test_a_uv_lock_that_is_out_of_date(
        self, tmp_path: Path, cache: Path, old: str, new: str, named: str
    ) -> None:
        """It would install something else than the project asks for, without a word."""
        text = self.SHOP.replace(old, new) if old else self.SHOP
        write(tmp_path / "s", pyproject_dot_toml=text, uv_dot_lock=self.SHOP_LOCK)
        if not named:
            assert self.inspect(tmp_path / "s", cache).package == "Shop_X"
            return
        with pytest.raises(
            SourceError, match=rf"does not match pyproject\.toml, .* for {named}\. Run `uv lock`"
        ):
            self.inspect(tmp_path / "s", cache)

    PYPROJECTS = (
        "[project.optional-dependencies]\nprod = []\n[dependency-groups]\nworker = []\n",
        "[tool.poetry.extras]\nprod = []\n[tool.poetry.group.worker.dependencies]\n",
        "[project.optional-dependencies]\nprod = []\n[tool.pdm.dev-dependencies]\nworker = []\n",
    )

    @pytest.mark.parametrize("text", PYPROJECTS)
    def test_extras_and_groups(self, tmp_path: Path, cache: Path, text: str) -> None:
        """Known to the project, however it declares them; the archive is the same, the release is not."""
        root = tmp_path / "s"
        write(root, pyproject_dot_toml=text, poetry_dot_lock="")
        source = {"path": str(root), "extras": ["prod"], "groups": ["worker"]}
        chosen = make_archive(source, cache)
        assert (chosen.project.extras, chosen.project.groups) == (["prod"], ["worker"])
        plain = make_archive({"path": str(root)}, cache)
        assert (plain.sha256, plain.project.extras) == (chosen.sha256, [])
        for key in ("extras", "groups"):
            with pytest.raises(SourceError, match=f"has no {key[:-1]} 'nope': correct source.{key}"):
                make_archive({"path": str(root), key: ["nope"]}, cache)

    def test_a_lock_that_has_no_extras(self, tmp_path: Path, cache: Path) -> None:
        """It holds one set of packages."""
        write(tmp_path / "s", requirements_dot_txt=LOCKED)
        with pytest.raises(SourceError, match=r"a requirements\.txt holds one set"):
            make_archive({"path": str(tmp_path / "s"), "extras": ["prod"]}, cache)

    def test_the_lock_of_a_workspace(self, tmp_path: Path, cache: Path) -> None:
        """At its root, for its members alone; the whole source is packed."""
        root = tmp_path / "s"
        write(
            root,
            uv_dot_lock="",
            pyproject_dot_toml='[tool.uv.workspace]\nmembers = ["services/*"]\nexclude = ["services/old"]\n',
            services__shop__pyproject_dot_toml='[project]\nname = "shop"\n',
            services__old__pyproject_dot_toml='[project]\nname = "old"\n',
            other__pyproject_dot_toml='[project]\nname = "other"\n',
        )
        project = self.inspect(root, cache, subdir="services/shop")
        assert (project.lock["path"], project.package) == ("uv.lock", "shop")
        assert "other/pyproject.toml" in names(
            make_archive({"path": str(root), "subdir": "services/shop"}, cache)
        )
        for stranger in ("services/old", "other"):
            with pytest.raises(SourceError, match=f"no lock file for {stranger}"):
                self.inspect(root, cache, subdir=stranger)

    def test_a_subdir_that_is_not_there(self, plain: Path, cache: Path) -> None:
        """With those that are."""
        with pytest.raises(SourceError, match=r"no folder web.*Folders there: shop"):
            self.inspect(plain, cache, subdir="web")

    def test_pyproject_that_is_not_toml(self, tmp_path: Path, cache: Path) -> None:
        """File and place."""
        write(tmp_path / "s", pyproject_dot_toml="[project", uv_dot_lock="")
        with pytest.raises(SourceError, match=r"pyproject\.toml of .* is not TOML"):
            self.inspect(tmp_path / "s", cache)

    @pytest.mark.parametrize(
        ("text", "hashes"),
        [
            (LOCKED, True),
            ("dep==1.0\n", False),
            ("# comment\n\ndep==1.0  # why\n", False),
            ("dep[extra]==1.0 ; python_version < '3.12'\n", False),
            ("--index-url https://index.example.org\ndep===1.0\n", False),
            ("dep @ https://files.example.org/dep.whl\n", False),
            ("dep==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via shop\n", True),
            ("", False),
        ],
    )
    def test_pinned_requirements(self, tmp_path: Path, cache: Path, text: str, hashes: bool) -> None:
        """As uv, pip-tools and people write them."""
        write(tmp_path / "s", requirements_dot_txt=text)
        lock = self.inspect(tmp_path / "s", cache).lock
        assert lock["hashes"] is hashes
        assert lock.get("sha256") == (None if hashes else hashlib.sha256(text.encode()).hexdigest())

    @pytest.mark.parametrize(
        ("kind", "text", "needs_git"),
        [
            ("requirements.txt", "dep @ git+https://git.example.org/dep@0123\n", True),
            ("requirements.txt", "dep==1.0  # was git+https://git.example.org/dep\n", False),
            ("uv.lock", 'source = { git = "https://git.example.org/dep?rev=0123#0123" }\n', True),
            ("uv.lock", 'source = { registry = "https://index.example.org/simple" }\n', False),
            ("poetry.lock", '[package.source]\ntype = "git"\n', True),
            ("pdm.lock", 'git = "https://git.example.org/dep"\n', True),
            ("Pipfile.lock", '{"default": {"dep": {"git": "https://git.example.org/dep"}}}', True),
            ("pylock.toml", '[packages.vcs]\ntype = "git"\n', True),
        ],
    )
    def test_a_dependency_in_git(
        self, tmp_path: Path, cache: Path, kind: str, text: str, needs_git: bool
    ) -> None:
        """Found in the lock, so that a host without git can say so before it builds."""
        (tmp_path / "s").mkdir()
        (tmp_path / "s" / kind).write_text(text)
        assert self.inspect(tmp_path / "s", cache).needs_git is needs_git

    COMPLETION: ClassVar[dict[str, Any]] = {
        "by": "r1",
        "python": "3.12.4",
        "packages": {"dep": "1.0", "a-b": "2!1.0+cpu"},
    }

    def test_what_one_host_chose_is_told_to_the_others(self, tmp_path: Path, cache: Path) -> None:
        """The first choice for a list and a Python stays."""
        write(tmp_path / "s", requirements_dot_txt="dep==1.0\n")
        lock = self.inspect(tmp_path / "s", cache).lock
        assert lock["completions"] == {}
        keep_completion(cache, {**self.COMPLETION, "sha256": lock["sha256"]})
        keep_completion(cache, {**self.COMPLETION, "sha256": lock["sha256"], "by": "later"})
        keep_completion(cache, {**self.COMPLETION, "sha256": lock["sha256"], "python": "3.13.1", "by": "r2"})
        told = self.inspect(tmp_path / "s", cache).lock["completions"]
        assert {python: each["by"] for python, each in told.items()} == {"3.12": "r1", "3.13": "r2"}
        assert told["3.12"]["packages"] == self.COMPLETION["packages"]
        write(tmp_path / "s", requirements_dot_txt="dep==1.1\n")
        assert self.inspect(tmp_path / "s", cache).lock["completions"] == {}

    @pytest.mark.parametrize(
        "forged",
        [
            {"sha256": "../../x"},
            {"python": "3"},
            {"packages": {"dep\n--index-url=https://evil.example.org": "1"}},
            {"packages": {"dep": "1\nother==2"}},
            {"packages": ["dep"]},
        ],
    )
    def test_a_forged_completion_is_not_told_to_others(self, cache: Path, forged: dict[str, Any]) -> None:
        """A host that somebody has taken over reports it."""
        cache.mkdir()
        keep_completion(cache, {**self.COMPLETION, "sha256": "0" * 64, **forged})
        assert not list(cache.rglob("*.json"))

    @pytest.mark.parametrize("line", ["dep", "dep>=1.0", "dep~=1.0", "dep==1.*", "-e .", ".", "dep==1.0,<2"])
    def test_requirements_that_are_not_pinned(self, tmp_path: Path, cache: Path, line: str) -> None:
        """The line is named, and how to pin."""
        write(tmp_path / "s", requirements_dot_txt=f"other==1.0\n{line}\n")
        with pytest.raises(SourceError, match="does not pin") as caught:
            self.inspect(tmp_path / "s", cache)
        assert repr(line) in str(caught.value)
        assert "Rename it to requirements.in, and" in str(caught.value)
        write(tmp_path / "s", pyproject_dot_toml="[project]\n")
        with pytest.raises(SourceError, match=r"-o requirements\.txt pyproject\.toml"):
            self.inspect(tmp_path / "s", cache)

    def test_a_list_of_lists(self, tmp_path: Path, cache: Path) -> None:
        """What it includes counts as if it were written there; constraints bind, and require nothing."""
        root = tmp_path / "s"
        write(
            root,
            requirements_dot_txt="-r requirements/web.txt\n-c limits.txt\n",
            requirements__web_dot_txt=f"--requirement=base.txt\n-r ../requirements.txt\n{LOCKED}",
            requirements__base_dot_txt=LOCKED.replace("dep", "base"),
            limits_dot_txt="dep<2\n",
        )
        assert self.inspect(root, cache).lock["hashes"] is True
        write(root, requirements__base_dot_txt="base>=1\n")
        with pytest.raises(SourceError, match=r"requirements/base\.txt of .* does not pin 'base>=1'"):
            self.inspect(root, cache)
        (root / "requirements" / "base.txt").unlink()
        with pytest.raises(SourceError, match=r"web\.txt of .* includes requirements/base\.txt, which is"):
            self.inspect(root, cache)

    def test_a_completion_belongs_to_all_files_of_a_list(self, tmp_path: Path, cache: Path) -> None:
        """A change in any of them may need other packages."""
        root = tmp_path / "s"
        write(root, requirements_dot_txt="-r base.txt\n", base_dot_txt="dep==1.0\n")
        first = self.inspect(root, cache).lock["sha256"]
        write(root, base_dot_txt="dep==1.1\n")
        assert self.inspect(root, cache).lock["sha256"] != first

    def test_hashes_for_some_only(self, tmp_path: Path, cache: Path) -> None:
        """The rest could be anything."""
        write(tmp_path / "s", requirements_dot_txt=f"{LOCKED}other==1.0\n")
        with pytest.raises(SourceError, match="hashes for some"):
            self.inspect(tmp_path / "s", cache)

    @pytest.mark.parametrize(
        ("module", "fine"),
        [
            ("shop.main:app", True),
            ("shop.absent:app", False),
            ("shop.sub.main:app", True),
            ("inner.web:app", True),
            ("inner.absent:app", False),
            ("from_a_dependency.main:app", True),
            ("main:app", True),
        ],
    )
    def test_the_module(self, plain: Path, cache: Path, module: str, fine: bool) -> None:
        """Refused where its package is here without it; what is not here may come from a dependency."""
        write(plain, shop__sub__main__x_dot_py="", src__inner__web_dot_py="")
        if fine:
            assert self.inspect(plain, cache, module=module).lock
        else:
            with pytest.raises(SourceError, match="has no module absent"):
                self.inspect(plain, cache, module=module)


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ({"git": "http://ci:hunter@2@127.0.0.1:1/shop.git", "version": "v1"}, "://…@127.0.0.1:1/shop.git"),
        (
            {"archive": "http://127.0.0.1:1/shop.tar.gz?private=hunter2", "checksum": "sha256:" + "0" * 64},
            "://127.0.0.1:1/shop.tar.gz?…",
        ),
    ],
)
def test_a_failure_names_the_source_without_its_token(
    source: dict[str, str], hidden: str, cache: Path
) -> None:
    """It is printed, logged and mailed."""
    with pytest.raises(SourceError) as caught:
        make_archive(source, cache)
    assert hidden in str(caught.value)
    assert "hunter" not in str(caught.value)
    assert "2@" not in str(caught.value)
