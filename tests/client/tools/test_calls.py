"""A client's observer is told of each call of a tool, once, by whichever way it was made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support.standin import IMAGE, StandIn, ToolError

from pytest_agb import AGB, Call, CreateSessionParams, Session, SessionGoneError
from pytest_agb.client.calls import Happened
from pytest_agb.client.tools.call_reader import read_call


class Notes:
    """An observer."""

    def __init__(self) -> None:
        self.happened: list[Happened] = []
        self.secrets: list[str] = []

    def ended(self, happened: Happened) -> None:
        self.happened.append(happened)

    def learned(self, secret: str, name: str) -> None:
        self.secrets.append(secret)

    def calls(self, session_id: str) -> Sequence[Call]:
        return [read_call(happened) for happened in self.happened]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def session(service: StandIn, notes: Notes) -> Session:
    agb = AGB(service.api_key, service.endpoint, observer=notes)
    return agb.create(CreateSessionParams(IMAGE)).check().session


FILE = {"get_file_info": "size: 5\nisDirectory: false", "read_file": "aGVsbG8="}


@pytest.mark.parametrize(
    ("call", "kind", "tool", "what"),
    [
        (lambda it: it.command.execute("ls", cwd="/x"), "command", "shell", "command"),
        (lambda it: it.call_mcp_tool("shell", {"command": "ls"}), "command", "shell", "command"),
        (lambda it: it.code.run("ls", "python"), "code", "run_code", "code"),
        (lambda it: it.file.read("ls"), "file", "read_file", "path"),
        (lambda it: it.file.read("ls", format="bytes"), "file", "read_file", "path"),
        (lambda it: it.file.write("ls", "x" * 200_000), "file", "write_file", "path"),
        (lambda it: it.file.list("ls"), "file", "list_directory", "path"),
        (lambda it: it.file.move("ls", "y"), "file", "move_file", "path"),
        (lambda it: it.file.read_batch(["ls"]), "file", "read_file", "path"),
    ],
)
def test_each_way_is_one_call(
    service: StandIn, session: Session, call: Callable[[Session], Any], kind: str, tool: str, what: str
) -> None:
    service.tools.update({name: lambda *_, text=text: text for name, text in FILE.items()})
    for name in ("shell", "run_code", "write_file", "list_directory", "move_file"):
        service.tools[name] = lambda *_: '{"stdout": "", "stderr": "", "exit_code": 0, "result": []}'

    call(session).check()

    (made,) = session.calls
    assert (made.kind, made.tool, getattr(made, what), made.success) == (kind, tool, "ls", True)
    assert made.request_id
    assert made.seconds > 0


def test_what_a_command_printed_and_how_it_ended_is_there(service: StandIn, session: Session) -> None:
    service.tools["shell"] = lambda *_: '{"stdout": "out", "stderr": "err", "exit_code": 3}'

    session.command.execute("x", envs={"TOKEN": "sesame-1"})

    (made,) = session.calls
    assert (made.stdout, made.stderr, made.exit_code, made.success) == ("out", "err", 3, False)
    assert made.args == {"command": "x", "timeout_ms": 1000, "envs": {"TOKEN": "sesame-1"}}
    assert "sesame" not in repr(made)


def test_a_calls_repr_shows_no_value_of_its_environment(service: StandIn, session: Session) -> None:
    service.tools["shell"] = lambda *_: '{"stdout": "", "stderr": "no sesame-1 here", "exit_code": 3}'

    session.command.execute("curl sesame-1", envs={"TOKEN": "sesame-1", "FLAG": "1"})

    assert "sesame" not in repr(session.calls)
    assert "what='curl [value of TOKEN]', exit_code=3" in repr(session.calls)


def test_a_call_that_fails_is_there_with_its_error(service: StandIn, session: Session) -> None:
    def fail(*_: object) -> str:
        raise ToolError("no such thing")

    service.tools["run_code"] = fail
    session.code.run("x", "python")
    service.end_session(session.session_id)
    session.command.execute("y")

    refused, gone = session.calls
    assert (refused.error_message, refused.success) == ("no such thing", False)
    assert isinstance(gone.error, SessionGoneError)


def test_a_call_that_the_test_ends_is_there(
    service: StandIn, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session.agb, "send", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.command.execute("sleep 60")

    assert session.calls[0].error_message == "ended by KeyboardInterrupt before there was an answer"


def test_what_is_refused_before_it_is_sent_is_no_call(session: Session) -> None:
    assert not session.file.read("").success
    assert not session.command.execute("x", timeout_ms=0).success
    assert not session.file.write("x", b"\xff").success
    assert not session.call_mcp_tool("any", {"lock": threading.Lock()}).success

    assert session.calls == []


def test_arguments_stay_as_they_were(service: StandIn, session: Session) -> None:
    service.tools["any"] = lambda *_: ""
    args: dict[str, Any] = {"list": ["before"]}
    session.call_mcp_tool("any", args)

    args["list"].append("after")

    assert session.calls[0].args == {"list": ["before"]}


def test_a_session_of_a_client_without_an_observer_has_none(service: StandIn) -> None:
    session = AGB(service.api_key, service.endpoint).create(CreateSessionParams(IMAGE)).check().session

    session.command.execute("ls")

    assert session.calls == ()


def test_the_token_is_told_as_a_secret(service: StandIn, session: Session, notes: Notes) -> None:
    service.stream = {"token": "token-secret"}

    assert session.get_token() == notes.secrets[0] == "token-secret"


def test_telling_costs_a_call_that_passes_at_most_20_microseconds() -> None:
    from pytest_agb.dossier.journal import Journal
    from pytest_agb.secret import Secret

    journal = Journal("run-1", Secret("key"))
    args = {"command": "ls", "timeout_ms": 1000, "envs": {"A": "12345", "B": "67890"}}

    def seconds(number: int = 200) -> float:
        journal.begins("test", "call")
        began = time.process_time()
        for _ in range(number):
            with Happened(journal, "session-1", "shell", args) as happened:
                happened.answered('{"stdout": "x", "exit_code": 0}', "R-1")
        return (time.process_time() - began) / number

    assert min(seconds() for _ in range(20)) < 20e-6
