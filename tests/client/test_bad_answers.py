"""Whatever comes back, the result says what happened, and to what, and what to do."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import (
    AGB,
    AGBError,
    AGBTimeoutError,
    AuthenticationError,
    CreateSessionParams,
    ImageNotFoundError,
    ProtocolError,
    QuotaError,
    ThrottledError,
    ToolError,
    UnavailableError,
)
from pytest_agb.client.api import endpoints
from pytest_agb.client.api.messages import read_answer

if TYPE_CHECKING:
    from support.standin_clock import Sleeps
    from support.standin_faults import Fault

LIST = "/sdk/ListSession"


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("html", ProtocolError, "it begins with '<html><head><title>Sign in"),
        ("not_json", ProtocolError, "it begins with"),
        ("html_502", UnavailableError, "HTTP 502"),
        ("503", UnavailableError, "The service is unavailable"),
        ("401", AuthenticationError, "AGB_API_KEY"),
        ("429", ThrottledError, "Too many requests"),
        ("drop_before", UnavailableError, "broke before the answer came"),
    ],
)
def test_each_bad_answer_has_its_error(
    service: StandIn, agb: AGB, fault: Fault, kind: type[AGBError], said: str
) -> None:
    service.fault(LIST, fault, times=10)

    result = agb.list()

    assert type(result.error) is kind
    assert result.error_message.startswith("Could not list sessions: ")
    assert said in result.error_message
    with pytest.raises(kind, match="Could not list sessions"):
        result.check()


def test_a_refused_connection_names_the_endpoint(sleeps: Sleeps) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = AGB("some-key", endpoint, sleep=sleeps).list()

    assert isinstance(result.error, UnavailableError)
    assert f"no connection to {endpoint}" in result.error_message
    assert "AGB_ENDPOINT" in result.error_message


def test_a_late_answer_is_a_timeout(service: StandIn) -> None:
    service.fault(LIST, "hang")
    with AGB(service.api_key, service.endpoint, timeout=0.1) as agb:
        result = agb.list()

    assert isinstance(result.error, AGBTimeoutError)
    assert isinstance(result.error, TimeoutError)
    assert "within 0.1 s" in result.error_message
    assert service.count(LIST) == 1


def test_what_is_no_http_at_all_is_named(sleeps: Sleeps) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.invalid ESMTP ready\r\n\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        result = AGB("some-key", f"http://127.0.0.1:{server.getsockname()[1]}", sleep=sleeps).list()
        thread.join()

    assert isinstance(result.error, ProtocolError)
    assert "does not speak HTTP" in result.error_message


def test_an_unknown_image_is_named(agb: AGB) -> None:
    result = agb.create(CreateSessionParams("agb-nonsense"))

    assert isinstance(result.error, ImageNotFoundError)
    assert "agb-nonsense" in result.error_message
    assert "image-management" in result.error_message


def test_too_many_sessions_are_a_quota_error(service: StandIn, agb: AGB) -> None:
    service.max_sessions = 0

    result = agb.create(CreateSessionParams(IMAGE))

    assert isinstance(result.error, QuotaError)


def test_an_error_says_which_request_it_was(agb: AGB) -> None:
    result = agb.get("session-nowhere")

    assert result.error is not None
    assert result.request_id == result.error.request_id == "REQUEST-1"
    assert result.error.code == "InvalidMcpSession.NotFound"
    assert result.error.http_status == 400
    assert "request ID REQUEST-1" in str(result.error)


STATUS = endpoints.get_status("session-1")
TOOL = endpoints.call_tool("session-1", "shell", {}, 1)


def test_what_a_tool_says_is_no_news_of_the_account() -> None:
    text = "invalid api key, quota exceeded, session not found"
    data = {"isError": True, "content": [{"type": "text", "text": text}]}
    body = json.dumps({"success": True, "message": "ok", "data": data}).encode()

    error = read_answer(TOOL, 200, body)

    assert type(error) is ToolError
    assert error.message == text


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"text"', b"null", b'{"detail": "Not Found"}', b"[" * 100_000, b"\xff"]
)
@pytest.mark.parametrize("status", [200, 404])
def test_what_is_not_the_apis_is_no_answer(body: bytes, status: int) -> None:
    assert type(read_answer(STATUS, status, body)) is ProtocolError


def test_an_answer_about_another_session_is_refused(service: StandIn, agb: AGB) -> None:
    """A cache or a gateway mixes answers up: what holds for another session must not pass for ours."""
    other = {"sessionId": "session-2", "status": "FINISH", "resourceUrl": "https://other.invalid"}
    body = json.dumps({"success": True, "data": other}).encode()
    for request in (
        endpoints.get_session("session-1"),
        endpoints.get_status("session-1"),
        endpoints.get_info("session-1"),
        endpoints.keep_alive("session-1"),
        endpoints.release("session-1"),
        endpoints.get_labels("session-1"),
    ):
        error = read_answer(request, 200, body)
        assert type(error) is ProtocolError, request.path
        assert error.message.endswith("the answer is about session session-2")
    assert not isinstance(read_answer(endpoints.get_session("session-2"), 200, body), AGBError)
