"""What is asked of the real machine, as far as that can be seen without systemd."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from farrier_release import host
from farrier_release.errors import NoAnswerError
from farrier_release.host import Completed, Host, Sandboxed, follow, run, without_requests


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Command lines, none of which is run."""
    lines: list[list[str]] = []

    def note(argv: list[str], **_: object) -> Completed:
        lines.append(list(argv))
        return Completed(0, "ActiveState=active\nMainPID=7\nDropInPaths=/a /b\nWeird=x=y\n", [])

    monkeypatch.setattr(host, "run", note)
    monkeypatch.setattr(host, "follow", note)
    return lines


def test_a_task_is_sandboxed(asked: list[list[str]]) -> None:
    """As its user, in its unit, within its time; what comes by standard input is in no list of processes."""
    task = Sandboxed(
        unit="farrier-shop-build",
        user="shop-build",
        command=["python3", "-m", "builder"],
        directory=Path("/srv/shop"),
        properties=["ProtectSystem=strict"],
        environment={"PATH": "/bin"},
        stdin=json.dumps({"environment": {"UV_INDEX_PASSWORD": "secret"}}),
        timeout_seconds=9,
    )
    Host().run_sandboxed(task)
    (argv,) = asked
    assert argv[0] == "systemd-run"
    options, command = argv[1 : argv.index("--")], argv[argv.index("--") + 1 :]
    assert command == ["python3", "-m", "builder"]
    assert {"--uid=shop-build", "--property=ProtectSystem=strict", "--property=RuntimeMaxSec=9"} <= set(
        options
    )
    assert {"--wait", "--pipe", "--collect", "--setenv=PATH=/bin"} <= set(options)
    assert "secret" not in " ".join(argv)


def test_a_detached_unit_is_not_waited_for(asked: list[list[str]]) -> None:
    """The caller may die; what comes after the command, however it ends, is the unit's own business."""
    limits = {"timeout_seconds": 900, "afterwards_timeout_seconds": 400}
    Host().start_detached("farrier-shop-transaction", ["tool"], afterwards="tool mend", **limits)
    (argv,) = asked
    assert "--wait" not in argv
    assert "--property=ExecStopPost=tool mend" in argv
    assert {"--property=RuntimeMaxSec=900", "--property=TimeoutStopSec=400"} <= set(argv)


def test_variables_in_a_command_are_its_own(asked: list[list[str]]) -> None:
    """systemd would expand them: `psql -c 'select $$a$$'` would select another thing."""
    task = Sandboxed("unit", "shop", ["/srv/$x/psql", "-c", "select $$a$$, ${HOME}, 100%"], Path("/srv"))
    Host().run_sandboxed(task)
    limits = {"timeout_seconds": 9, "afterwards_timeout_seconds": 4}
    Host().start_detached("unit", ["tool", "$HOME"], afterwards="mend", **limits)
    assert asked[0][-3:] == ["/srv/$x/psql", "-c", "select $$$$a$$$$, $${HOME}, 100%"]
    assert asked[1][-2:] == ["tool", "$$HOME"]


def test_properties_are_read(asked: list[list[str]]) -> None:
    """Values may hold anything but a line's end."""
    shown = Host().show("shop.service", "ActiveState", "MainPID")
    assert (shown["MainPID"], shown["DropInPaths"], shown["Weird"]) == ("7", "/a /b", "x=y")
    assert asked[0][-1] == "shop.service"


# As systemctl 252 and 257 say it while systemd executes itself anew.
LOST = (
    "Failed to connect to system scope bus via local transport: Connection refused",
    "Failed to get properties: Connection reset by peer",
    "Failed to get properties: Transport endpoint is not connected",
    "Failed to reload shop.service: Transport endpoint is not connected",
    "D-Bus connection terminated while waiting for jobs.",
    "Failed to wait for response: Connection reset by peer",
)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Completed]:
    """What systemctl answers from now on, one after the other; the last one for ever."""
    given: list[Completed] = []
    monkeypatch.setattr(host, "run", lambda *_, **__: given.pop(0) if len(given) > 1 else given[0])
    monkeypatch.setattr(host, "_ASK_AGAIN_SECONDS", 0.01)
    return given


@pytest.mark.parametrize("line", LOST)
def test_systemd_executes_itself_anew(answers: list[Completed], line: str) -> None:
    """As unattended-upgrades has it: no unit dies by that, and no job is lost."""
    answers += [Completed(1, "", [line])] * 3 + [Completed(0, "ActiveState=active\n", [])]
    assert Host().show("shop.service", "ActiveState") == {"ActiveState": "active"}
    answers[:] = [Completed(1, "", [line])] * 3 + [Completed(0, "", [])]
    assert Host().systemctl("reload", "shop.service").returncode == 0


def test_systemd_does_not_answer_at_all(answers: list[Completed], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is no word about the release: not that the service is dead."""
    monkeypatch.setattr(host, "_NO_ANSWER_SECONDS", 0.2)
    answers.append(Completed(1, "", [LOST[0]]))
    for ask in (lambda: Host().show("shop.service", "ActiveState"), lambda: Host().systemctl("start", "a")):
        with pytest.raises(NoAnswerError, match="Connection refused") as caught:
            ask()
        assert "nothing about the application" in caught.value.message


def test_a_job_that_fails_has_failed(answers: list[Completed]) -> None:
    """Asking again would only hide it."""
    answers += [Completed(1, "", ["Job for shop.service failed."]), Completed(0, "", [])]
    assert Host().systemctl("reload", "shop.service").returncode == 1


def test_requests_do_not_drown_what_matters() -> None:
    """A busy site logs thousands of them around the one line that says what is wrong."""
    request = '{"time": "2026", "client": null, "method": "GET", "path": "/"}'
    own = '{"time": "2026", "message": "the application logs JSON too"}'
    assert without_requests([request, "Traceback", "", own, request]) == ["Traceback", own]


def test_a_result_is_kept_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output is the result; standard error is passed on, and its end is kept."""
    done = follow(["sh", "-c", "cat; echo told >&2; exit 3"], stdin="asked", keep_stdout=True)
    assert done == Completed(3, "asked", ["told"])
    assert capfd.readouterr().err == "told\n"


@pytest.mark.parametrize("keep_stdout", [True, False])
def test_much_output_on_both_streams(capfd: pytest.CaptureFixture[str], keep_stdout: bool) -> None:
    """A pipe holds 64 KiB: whoever reads one stream to its end before the other waits for ever."""
    code = "import sys\nfor _ in range(9000): print('o' * 99); print('e' * 99, file=sys.stderr)"
    done = follow([sys.executable, "-c", code], keep_stdout=keep_stdout)
    assert done.returncode == 0
    assert len(done.stdout) == (900_000 if keep_stdout else 0)
    assert len(done.tail) == 60
    assert len(capfd.readouterr().err) == (900_000 if keep_stdout else 1_800_000)


def test_lines_of_both_streams_come_in_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    """What a command says in either of them tells what it was doing when it failed."""
    done = follow(["sh", "-c", "echo 1; echo 2 >&2; echo 3"], show=lambda line: f"<{line}>")
    assert done == Completed(0, "", ["<1>", "<2>", "<3>"])
    assert capfd.readouterr().err == "<1>\n<2>\n<3>\n"


def test_output_without_a_line_end_needs_no_memory(capfd: pytest.CaptureFixture[str]) -> None:
    """Nor does a result without end."""
    endless = [sys.executable, "-c", "print('x' * 40_000_000, end='')"]
    assert sum(map(len, follow(endless).tail)) < 2_000_000
    assert len(follow(endless, keep_stdout=True).stdout) == 16 << 20


def test_a_command_that_hangs_is_ended() -> None:
    """And says so."""
    done = run(["sleep", "60"], timeout_seconds=0)
    assert done.returncode != 0
    assert "took longer than 0 s" in done.tail[-1]


def test_a_command_that_reads_nothing() -> None:
    """It may have ended before its input was written, or print much before it reads."""
    assert run(["true"], stdin="x" * 600_000).returncode == 0
    assert follow(["true"], stdin="x" * 600_000).returncode == 0


def test_users() -> None:
    """By their names."""
    assert Host().has_user("root")
    assert not Host().has_user("no-such-user")
