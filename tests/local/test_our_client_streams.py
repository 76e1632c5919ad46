"""Our client streams as the official SDK does, and is told more."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.deadline import eventually
from support.local_server import IMAGE, Server
from support.official_sdk import WAIT, Heard, told

from pytest_agb import (
    AGB,
    CreateSessionParams,
    ExecutionError,
    InvalidRequestError,
    NotFoundError,
    Session,
    ToolError,
)
from pytest_agb.client import ExecutionResult


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    agb = AGB(server.api_key, server.endpoint)
    with agb, agb.create(CreateSessionParams(IMAGE)).check().session as session:
        yield session


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("print('out')\n1 + 1", "python"),
        ("import sys\nprint('err', file=sys.stderr)\ndisplay({'text/html': '<b>'}, raw=True)\n'x'", "python"),
        (
            "display({'application/vnd.vegalite.v4+json': {'mark': 'bar'}, 'image/png': b'PNG'}, raw=True)",
            "python",
        ),
        ("print('before')\n1 / 0", "python"),
        ("import sys\nsys.exit(3)", "python"),
        ("while True: pass", "python"),
        ("import os\nos._exit(3)", "python"),
        ("console.log('out'); [1, 2]", "javascript"),
        ("", "python"),
    ],
)
def test_both_clients_are_told_the_same(sdk_session: Any, session: Session, code: str, language: str) -> None:
    official = Heard().run(sdk_session, code, language, timeout_s=2)
    ours = session.code.run(code, language, timeout_s=2, stream_beta=True)
    assert told(ours) == told(official)
    assert len(ours.request_id) == 32


def test_callbacks_hear_everything_in_this_thread_and_results_after_what_was_printed_before(
    session: Session,
) -> None:
    heard: list[tuple[str, Any]] = []
    threads = set()

    def note(kind: str) -> Callable[[Any], None]:
        def called(value: Any) -> None:
            threads.add(threading.current_thread())
            heard.append((kind, value))

        return called

    result = session.code.run(
        "import sys\nprint('one')\ndisplay(1)\nprint('two', file=sys.stderr)\ndisplay(2)\n1 / 0",
        "python",
        on_stdout=note("stdout"),
        on_stderr=note("stderr"),
        on_result=note("result"),
        on_error=note("error"),
    )
    one, two = heard.index(("stdout", "one\n")), heard.index(("stderr", "two\n"))
    first, second = (heard.index(("result", ExecutionResult(text=text))) for text in "12")
    assert one < first < second
    assert two < second < len(heard) - 1 == 4
    assert result.results == [ExecutionResult(text="1"), ExecutionResult(text="2")]
    kind, error = heard[-1]
    assert kind == "error"
    assert isinstance(error, ExecutionError)
    assert (error.name, error.value) == ("ZeroDivisionError", "division by zero")
    assert isinstance(result.error, ExecutionError)
    assert (result.error.name, result.error.value) == ("ZeroDivisionError", "division by zero")
    assert result.error_message.startswith("Traceback")
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("callback", ["on_stdout", "on_stderr", "on_result", "on_error"])
def test_one_callback_is_enough_to_stream(session: Session, callback: str) -> None:
    heard: list[Any] = []
    code = "import sys\nprint('o')\nprint('e', file=sys.stderr)\ndisplay(1)\n1 / 0"
    arguments: dict[str, Any] = {callback: heard.append}
    result = session.code.run_code(code, "python", **arguments)
    assert len(heard) == 1
    assert (result.logs.stdout, result.logs.stderr, len(result.results)) == (["o\n"], ["e\n"], 1)


def test_output_arrives_while_the_code_runs(session: Session) -> None:
    heard: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            session.code.run, f"print('first')\n{WAIT}print('last')", "python", on_stdout=heard.append
        )
        try:
            eventually(lambda: heard == ["first\n"], "what was printed first arrives")
            assert not running.done()
        finally:
            session.file.write("go", "").check()
        assert running.result(30).check().logs.stdout == ["first\n", "last\n"]


def test_what_a_callback_raises_is_raised_and_the_session_lives(session: Session) -> None:
    def refuse(chunk: str) -> None:
        raise ToolError(f"I don't like {chunk.strip()}")  # an AGBError of the user's own is no failed result

    started = time.monotonic()
    with pytest.raises(ToolError, match="I don't like it"):
        session.code.run(f"print('it')\n{WAIT}", "python", on_stdout=refuse)
    assert time.monotonic() - started < 10
    session.file.write("go", "").check()
    assert session.code.run("'alive'", "python", stream_beta=True).check().result == "'alive'"


def test_many_threads_stream_from_one_session(session: Session) -> None:
    def run(number: int) -> str:
        return session.code.run(f"print({number})\n{number}", "python", stream_beta=True).check().result

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(16))) == [str(number) for number in range(16)]


def test_a_session_that_is_gone_is_not_found(session: Session) -> None:
    errors: list[Any] = []
    assert isinstance(session.agb, AGB)
    session.agb.release(session.session_id).check()
    result = session.code.run("1", "python", on_error=errors.append)
    assert isinstance(result.error, NotFoundError)
    assert errors == [result.error]


def test_without_the_library_the_extra_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.sync.client", None)
    result = session.code.run("1", "python", stream_beta=True)
    assert isinstance(result.error, InvalidRequestError)
    assert "pip install 'pytest-agb[stream]'" in result.error_message
    assert session.code.run("1", "python").success  # only streaming needs it
