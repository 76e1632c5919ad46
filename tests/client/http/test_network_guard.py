"""What keeps a test from the network keeps our calls from it too, and is named in one line."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from support.standin import IMAGE, StandIn
from support.standin_clock import Sleeps

from pytest_agb import AGB, CreateSessionParams, Session
from pytest_agb.client.results import Result

TOKEN = "token-very-secret"


class ForbiddenError(Exception):
    """What a conftest's own guard raises: related to nothing."""


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise ForbiddenError("no network in tests")


def refuse_to_connect(connection: socket.socket, *_: Any) -> NoReturn:
    connection.close()
    refuse()


class GuardedSocket(socket.socket):
    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        refuse()


GUARDS = [
    ("socket.socket", GuardedSocket),
    ("socket.socket", refuse),
    ("socket.socket.connect", refuse_to_connect),
    ("socket.create_connection", refuse),
    ("socket.getaddrinfo", refuse),
]
CALLS: dict[str, Callable[[AGB, Session], Result]] = {
    "list": lambda agb, session: agb.list(),
    "create": lambda agb, session: agb.create(CreateSessionParams(IMAGE)),
    "tool": lambda agb, session: session.command.execute_command("true"),
    "stream": lambda agb, session: session.code.run("1", "py", stream_beta=True),
}


@pytest.mark.parametrize(("replaced", "guard"), GUARDS)
@pytest.mark.parametrize("call", CALLS)
def test_it_is_told_who_forbids_a_connection(
    service: StandIn,
    agb: AGB,
    session: Session,
    sleeps: Sleeps,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    replaced: str,
    guard: object,
) -> None:
    service.stream = {"wsUrl": service.endpoint.replace("http", "ws"), "token": TOKEN}
    session.info().check()
    if call != "stream":
        agb.close()  # what is connected already stays so
    monkeypatch.setattr(replaced, guard)

    result = CALLS[call](agb, session)

    monkeypatch.undo()
    assert f"{__name__} keeps this test from " in result.error_message, result.error_message
    assert "no network in tests" in result.error_message
    assert "\n" not in result.error_message
    error = result.error
    assert error is not None
    assert not error.maybe_executed
    assert "Let 127.0.0.1 through" in str(error)
    assert sleeps == []
    assert error.__context__ is None
    for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
        assert TOKEN not in str(frame.locals)
        assert service.api_key not in str(frame.locals)


def test_an_error_of_nobodys_guard_stays_what_it_is(
    agb: AGB, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler's, for example, that ends a test which takes too long."""

    class TooLongError(Exception):
        pass

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise TooLongError

    agb.open()
    client = agb._transport._client()
    monkeypatch.setattr(client, "stream", interrupted)

    with pytest.raises(TooLongError):
        agb.list()
