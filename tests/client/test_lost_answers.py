"""A create is sent once: when its answer is lost, a session may exist, and another would be one too many."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import AGB, AGBError, CreateSessionParams
from pytest_agb.client.api import classify, endpoints
from pytest_agb.client.api.messages import Answer, read_answer

if TYPE_CHECKING:
    from support.standin_clock import Sleeps
from support.standin_faults import Fault

CREATE = "/mcp/createSession"


@pytest.mark.parametrize(
    "fault", ["drop_after", "drop_before", "500_after", "hollow_after", "html", "html_502", "not_json", "503"]
)
def test_a_create_is_never_repeated(service: StandIn, agb: AGB, sleeps: Sleeps, fault: Fault) -> None:
    service.fault(CREATE, fault)

    result = agb.create(CreateSessionParams(IMAGE))

    assert not result.success
    assert service.count(CREATE) == 1
    assert sleeps == []
    assert result.error is not None
    assert result.error.maybe_executed
    assert len(service.live_sessions()) == (fault.endswith("_after"))


def test_a_create_that_takes_too_long_may_have_made_a_session(service: StandIn) -> None:
    service.fault(CREATE, "hang")

    with AGB(service.api_key, service.endpoint, timeout=0.1) as agb:
        result = agb.create(CreateSessionParams(IMAGE))

    assert "no answer from" in result.error_message
    assert result.error is not None
    assert result.error.maybe_executed
    assert (service.count(CREATE), len(service.live_sessions())) == (1, 1)


@pytest.mark.parametrize("fault", ["429", "401"])
def test_a_create_that_is_refused_has_made_none(service: StandIn, agb: AGB, fault: Fault) -> None:
    service.fault(CREATE, fault)

    result = agb.create(CreateSessionParams(IMAGE))

    assert result.error is not None
    assert not result.error.maybe_executed
    assert service.count(CREATE) == 1


def test_a_create_that_was_not_sent_has_made_none() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        agb = AGB("some-key", f"http://127.0.0.1:{unused.getsockname()[1]}")

        result = agb.create(CreateSessionParams(IMAGE))

    assert result.error is not None
    assert not result.error.maybe_executed


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"success": false, "message": "no", "data": {"sessionId": "s-1"}}'),
        (500, b'{"success": false, "data": {"sessionId": "s-1"}}'),
        (200, b'{"success": true, "data": {"sessionId": "s-1", "success": false, "errMsg": "no"}}'),
    ],
)
def test_an_answer_with_a_session_id_has_made_a_session(status: int, body: bytes) -> None:
    request = endpoints.create_session(IMAGE, {}, 60, None)

    answer = read_answer(request, status, body)

    assert isinstance(answer, Answer)
    assert classify.created_session_id(answer) == "s-1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"success": true, "data": {}}',
        b'{"success": true, "data": {"sessionId": "", "resourceId": "r-1"}}',
        b'{"code": "ok", "data": null}',
    ],
)
def test_a_success_without_a_session_id_is_doubtful(body: bytes) -> None:
    request = endpoints.create_session(IMAGE, {}, 60, None)

    error = read_answer(request, 200, body)

    assert isinstance(error, AGBError)
    assert error.maybe_executed


def test_a_tool_call_whose_answer_is_lost_is_not_repeated(service: StandIn, agb: AGB) -> None:
    session = agb.create(CreateSessionParams(IMAGE)).check().session
    assert session is not None
    service.fault("/mcp", "drop_after")

    result = session.command.execute("rm once")

    assert service.count("/mcp") == 1
    assert "broke before the answer came" in result.error_message
