"""Streams that go wrong, by a service of the test's own on a real WebSocket."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.standin import StandIn
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.utils import accept_key

from pytest_agb import (
    AGB,
    AGBError,
    AGBTimeoutError,
    CodeExecutionResult,
    PermissionDeniedError,
    ProtocolError,
    RefusedError,
    Session,
    ToolError,
    UnavailableError,
)
from pytest_agb.client import ClientSettings

TOKEN = "token-very-secret"
#: What the service does once it has been asked: it gets the connection and the request.
Answer = Callable[[ServerConnection, dict[str, Any]], None]


class Streamer:
    """A WebSocket server that does what it is told."""

    def __init__(self) -> None:
        self.answer: Answer = lambda connection, request: None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.released = threading.Event()
        self._server = serve(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/path"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        request = json.loads(connection.recv(10))
        self.asked.append((connection.request.headers["X-Access-Token"], request))
        self.answer(connection, request)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()


@pytest.fixture
def streamer(service: StandIn) -> Iterator[Streamer]:
    streamer = Streamer()
    service.stream = {"wsUrl": streamer.url, "token": TOKEN}
    yield streamer
    streamer.close()


def say(connection: ServerConnection, request: dict[str, Any], **data: Any) -> None:
    connection.send(json.dumps({"invocationId": request["invocationId"], "data": data}))


def run(session: Session) -> CodeExecutionResult:
    return session.code.run("1 + 1", "py", timeout_s=7, stream_beta=True)


def test_the_token_is_in_no_log_and_no_error(
    streamer: Streamer, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="websockets.client")
    streamer.answer = lambda connection, request: connection.close(1011, f"I was given {TOKEN}"[:120])

    result = run(session)

    # The service of this test has the library's other end, and speaks of what came.
    records = [record for record in caplog.records if record.name != "websockets.server"]
    logged = "\n".join(record.getMessage() for record in records)
    assert "> x-access-token: [token]" in logged.lower()
    assert {record.module for record in records} >= {"client", "protocol"}  # and not ours
    assert "I was given [token]" in result.error_message
    assert TOKEN not in logged + f"{result.error} {vars(result.error)}"


def test_the_request_is_the_official_sdks(streamer: Streamer, session: Session) -> None:
    streamer.answer = lambda connection, request: say(connection, request, phase="end", status="finished")
    result = run(session).check()
    [(token, request)] = streamer.asked
    assert token == TOKEN
    assert request == {
        "invocationId": result.request_id,
        "source": "SDK",
        "target": "wuying_codespace",
        "data": {
            "method": "run_code",
            "mode": "stream",
            "params": {"language": "python", "timeoutS": 7, "code": "1 + 1"},
        },
    }


@pytest.mark.parametrize("as_text", [True, False])
def test_the_target_is_the_server_of_run_code(
    service: StandIn, streamer: Streamer, session: Session, as_text: bool
) -> None:
    tools = [{"name": "shell", "server": "other"}, {"Name": "run_code", "Server": "mine"}]
    service.stream["toolList"] = json.dumps(tools) if as_text else tools
    streamer.answer = lambda connection, request: say(connection, request, phase="end")
    assert run(session).success
    assert streamer.asked[0][1]["target"] == "mine"


def test_all_that_the_official_sdk_reads_is_read(streamer: Streamer, session: Session) -> None:
    def answer(connection: ServerConnection, request: dict[str, Any]) -> None:
        connection.send(json.dumps({"invocationId": "of another", "data": {"phase": "end"}}))
        say(connection, request, phase="event", eventType="stdout", chunk="o", seq=1)
        data = json.dumps({"phase": "event", "eventType": "stderr", "chunk": "e"})
        connection.send(json.dumps({"requestId": request["invocationId"], "data": data}))
        say(connection, request, phase="event", eventType="stdout", chunk=None)
        say(connection, request, phase="event", eventType="news")
        say(connection, request, phase="event", eventType="result", result="plain")
        mime = {"text/plain": "t", "application/vnd.vegalite.v5+json": {"mark": "bar"}}
        say(
            connection,
            request,
            phase="event",
            eventType="result",
            result={"mime": mime, "isMainResult": True},
        )
        say(connection, request, phase="end", status="finished", executionCount=3, executionTime=0.5)

    streamer.answer = answer
    result = run(session).check()
    assert (result.logs.stdout, result.logs.stderr) == (["o"], ["e"])
    assert [item.text for item in result.results] == ["plain", "t"]
    assert (result.results[1].chart, result.results[1].is_main_result) == ({"mark": "bar"}, True)
    assert (result.execution_count, result.execution_time) == (3, 0.5)


def test_a_picture_of_many_megabytes_arrives(streamer: Streamer, session: Session) -> None:
    def answer(connection: ServerConnection, request: dict[str, Any]) -> None:
        mime = {"image/png": "x" * 3_000_000}  # three times what the library takes by default
        say(connection, request, phase="event", eventType="result", result={"mime": mime})
        say(connection, request, phase="end")

    streamer.answer = answer
    assert len(run(session).check().results[0].png or "") == 3_000_000


def test_a_callback_that_raises_leaves_no_connection_open(streamer: Streamer, session: Session) -> None:
    closed = threading.Event()

    def answer(connection: ServerConnection, request: dict[str, Any]) -> None:
        say(connection, request, phase="event", eventType="stdout", chunk="out")
        with pytest.raises(ConnectionClosed):
            connection.recv(20)
        closed.set()

    def refuse(chunk: str) -> None:
        raise ZeroDivisionError

    streamer.answer = answer
    with pytest.raises(ZeroDivisionError) as caught:
        session.code.run("x", "py", on_stdout=refuse)
    assert closed.wait(10)  # although what was raised still holds the frames of the call
    assert caught.value.__traceback__ is not None


@pytest.mark.parametrize(
    ("events", "end", "message", "name", "value"),
    [
        ([{"code": "E", "message": "m"}], {"executionError": "long"}, "long", "E", "m"),
        ([{"code": "E", "message": "m"}], {}, "m", "E", "m"),
        (["text"], {}, "text", "ExecutionError", "text"),
        ([], {"executionError": "long"}, "long", "ExecutionError", "long"),
        ([], {"status": "failed"}, "The program failed; the service gives no reason", "ExecutionError", None),
    ],
)
def test_a_program_that_fails(
    streamer: Streamer,
    session: Session,
    events: list[Any],
    end: dict[str, Any],
    message: str,
    name: str,
    value: str | None,
) -> None:
    def answer(connection: ServerConnection, request: dict[str, Any]) -> None:
        for error in events:
            if isinstance(error, str):
                error = {"error": error}
            say(connection, request, phase="event", eventType="error", error=error)
        say(connection, request, phase="end", **end)

    streamer.answer = answer
    result = run(session)
    assert not result.success
    assert result.error is not None
    assert (result.error_message, result.error.name) == (message, name)
    assert result.error.value == (value or message)


BAD: list[tuple[str, Answer, type[AGBError], str]] = [
    ("no JSON", lambda c, r: c.send("{"), ProtocolError, "a message that is no JSON object"),
    ("no object", lambda c, r: c.send("[]"), ProtocolError, "a message that is no JSON object"),
    (
        "no data",
        lambda c, r: c.send(json.dumps({"invocationId": r["invocationId"]})),
        ProtocolError,
        "the data of a message that is no JSON object",
    ),
    ("no phase", lambda c, r: say(c, r, eventType="stdout"), ProtocolError, "a message of phase None"),
    ("new phase", lambda c, r: say(c, r, phase="pause"), ProtocolError, "a message of phase 'pause'"),
    (
        "phase error",
        lambda c, r: say(c, r, phase="error", error={"code": "C", "message": "full"}),
        ToolError,
        "full",
    ),
    ("error text", lambda c, r: say(c, r, phase="event", error="bad luck"), ToolError, "bad luck"),
    (
        "closed",
        lambda c, r: c.close(1001, "going away"),
        UnavailableError,
        "broke before its end: going away",
    ),
    ("cut", lambda c, r: c.socket.close(), UnavailableError, "broke before its end"),
]


@pytest.mark.parametrize(
    ("answer", "kind", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_a_stream_that_goes_wrong(
    streamer: Streamer, session: Session, answer: Answer, kind: type[AGBError], words: str
) -> None:
    def printed_first(connection: ServerConnection, request: dict[str, Any]) -> None:
        say(connection, request, phase="event", eventType="stdout", chunk="before")
        answer(connection, request)

    streamer.answer = printed_first
    told: list[AGBError] = []
    result = session.code.run("x", "py", on_error=told.append)
    assert type(result.error) is kind
    assert words in result.error_message
    assert told == [result.error]
    assert result.logs.stdout == ["before"]
    assert session.session_id in result.error_message or kind in (ProtocolError, ToolError)


def test_a_stream_that_never_ends_is_a_timeout(service: StandIn, streamer: Streamer) -> None:
    def say_nothing(*_: object) -> None:
        streamer.released.wait(30)

    streamer.answer = say_nothing
    settings = ClientSettings(tool_margin_seconds=0.1)
    with AGB(service.api_key, service.endpoint, settings=settings) as agb:
        session = agb.get(service.add_session({})).check().session
        started = time.monotonic()
        result = session.code.run("x", "py", timeout_s=0.2, stream_beta=True)  # type: ignore[arg-type]
    assert isinstance(result.error, AGBTimeoutError)
    assert time.monotonic() - started < 10
    assert result.error.maybe_executed
    assert "no end of the program" in result.error_message


@pytest.mark.parametrize(
    ("stream", "kind", "words"),
    [
        ({}, RefusedError, "the service offers no stream for it"),
        ({"wsUrl": "ws://127.0.0.1:1/x"}, RefusedError, "no stream"),
        (
            {"wsUrl": "ws://127.0.0.1:1/x", "token": TOKEN},
            UnavailableError,
            "no stream with ws://127.0.0.1:1/x",
        ),
        ({"wsUrl": "http://127.0.0.1:1/x", "token": TOKEN}, ProtocolError, "no WebSocket's address"),
        ({"wsUrl": "not a URL", "token": TOKEN}, ProtocolError, "no WebSocket's address"),
    ],
)
def test_a_stream_that_can_not_be_had(
    service: StandIn, session: Session, stream: dict[str, Any], kind: type[AGBError], words: str
) -> None:
    service.stream = stream
    result = run(session)
    assert type(result.error) is kind
    assert words in result.error_message
    assert not result.error.maybe_executed


def test_a_refused_token_is_no_news_of_the_key(service: StandIn, session: Session) -> None:
    # A server that speaks HTTP only: the stand-in refuses with 401 what has no key.
    service.stream = {"wsUrl": service.endpoint.replace("http", "ws") + "/mcp/getSession", "token": TOKEN}
    result = run(session)
    assert isinstance(result.error, PermissionDeniedError)


def test_the_token_is_shown_nowhere(streamer: Streamer, session: Session) -> None:
    streamer.answer = lambda connection, request: connection.close(1001, "bye")
    result = run(session)
    shown = f"{result!r} {result.error!r} {vars(result.error)} {session!r} {vars(session)}"
    assert TOKEN not in shown
    assert result.error is not None
    assert result.error.__context__ is None
    for frame in traceback.TracebackException.from_exception(result.error, capture_locals=True).stack:
        assert TOKEN not in str(frame.locals)


def test_a_stream_takes_its_token_to_no_other_place(
    service: StandIn, streamer: Streamer, session: Session
) -> None:
    def redirect(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 302 Look\r\nlocation: {streamer.url}\r\n\r\n".encode())

    with answering(redirect) as url:
        service.stream = {"wsUrl": url, "token": TOKEN}
        result = run(session)

    assert streamer.asked == []
    assert isinstance(result.error, ProtocolError)
    assert f"redirects to {streamer.url}" in result.error_message


def test_a_program_that_is_not_taken_in_is_a_timeout(service: StandIn) -> None:
    over = threading.Event()

    def greet_only(connection: socket.socket) -> None:
        request = connection.recv(65536).decode()
        key = next(line.split(": ")[1] for line in request.splitlines() if "Sec-WebSocket-Key" in line)
        lines = ["HTTP/1.1 101 Yes", "Upgrade: websocket", "Connection: Upgrade"]
        lines.append(f"Sec-WebSocket-Accept: {accept_key(key)}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        over.wait(30)

    settings = ClientSettings(connect_timeout_seconds=1.0)
    with answering(greet_only) as url, AGB(service.api_key, service.endpoint, settings=settings) as agb:
        service.stream = {"wsUrl": url, "token": TOKEN}
        session = agb.get(service.add_session({})).check().session
        began = time.monotonic()
        result = session.code.run(secrets.token_hex(6_000_000), "py", stream_beta=True)
        took = time.monotonic() - began
        over.set()

    assert isinstance(result.error, AGBTimeoutError), result.error
    assert took < 15


@contextmanager
def answering(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that has one connection dealt with by ``serve``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with listener.accept()[0] as connection:
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/path"
        thread.join(30)
