"""The API key, and what opens a session, stay out of everything that is printed, logged or raised."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from support.standin import IMAGE, StandIn, ToolError
from support.standin_http import HttpReply, HttpRequest, HttpServer

from pytest_agb import AGB, AGBError, CreateSessionParams, Session
from pytest_agb.client.api import endpoints
from pytest_agb.client.api.messages import read_answer, redact
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    from support.standin_clock import Sleeps
    from support.standin_faults import Fault

KEY = "ako-very-secret-0123456789"


def test_the_key_is_not_logged(service: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)

    with AGB(service.api_key, service.endpoint) as agb:
        agb.create(CreateSessionParams(IMAGE)).check()
        agb.list().check()

    assert "createSession" in caplog.text  # the loggers do speak
    assert service.api_key not in caplog.text


def test_the_key_is_not_shown(service: StandIn, agb: AGB, session: Session) -> None:
    shown = [repr(vars(thing)) + repr(thing) for thing in (agb, agb._transport, session)]

    assert service.api_key not in "".join(shown)


def test_a_key_that_the_service_repeats_is_blotted_out(service: StandIn) -> None:
    with AGB(KEY, service.endpoint) as agb:
        result = agb.list()

    assert "[API key]" in result.error_message
    assert KEY not in f"{result!r} {result.error!r} {result.error} {result.error_message}"
    assert KEY not in repr(vars(result.error))


def test_a_key_in_a_page_is_blotted_out_before_the_page_is_cut() -> None:
    page = f"<html>{'x' * 100}{KEY}".encode()
    request = endpoints.get_status("session-1")

    error = read_answer(request, 200, page, hide=lambda value: redact(value, Secret(KEY)))

    assert isinstance(error, AGBError)
    assert "ako-" not in f"{error} {vars(error)}"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"The key {KEY[:13]}... is unknown", "The key [API key]... is unknown"),
        (f"…{KEY[13:]} is unknown", "…[API key] is unknown"),
        (f"{KEY[:20]}{KEY[6:]}", "[API key][API key]"),
        (
            f"{KEY[:12]} and {KEY[-12:]}",
            f"{KEY[:12]} and {KEY[-12:]}",
        ),  # as services name keys
    ],
)
def test_half_a_key_is_blotted_out_too(said: str, shown: str) -> None:
    assert redact({"message": [said]}, Secret(KEY)) == {"message": [shown]}


def test_an_answer_as_deep_as_can_be_read_is_masked() -> None:
    depth = 900
    body = json.dumps({"success": False, "code": "No", "message": "no"})[:-1]
    body += f', "data": {"[" * depth}"{KEY}"{"]" * depth}}}'

    error = read_answer(
        endpoints.get_status("x"), 400, body.encode(), hide=lambda value: redact(value, Secret(KEY))
    )

    assert isinstance(error, AGBError)


def test_a_key_in_a_tools_error_is_blotted_out(service: StandIn, session: Session) -> None:
    def fail(*_: object) -> str:
        raise ToolError(f"I was called with {service.api_key}")

    def fail_inside(*_: object) -> str:
        return json.dumps({"result": [], "executionError": f"KeyError: {service.api_key}"})

    service.tools.update(shell=fail, run_code=fail_inside)

    for result in (session.command.execute("x"), session.code.run("x", "python")):
        assert "[API key]" in result.error_message
        assert service.api_key not in repr(result)


class _Repeating:
    """A server that repeats the key wherever it can, in a refusal of this status or in a page."""

    def __init__(self, status: int, *, page: bool) -> None:
        self._status, self._page = status, page

    def __call__(self, request: HttpRequest) -> HttpReply:
        told = f"for {request.headers['authorization'].removeprefix('Bearer ')}"
        payload = {"success": False, "code": f"No.{told}", "message": told, "requestId": told}
        payload["data"] = {"errMsg": told, "content": [{"type": "text", "text": told}], "isError": True}
        body = f"<html>{told}</html>" if self._page else json.dumps(payload)
        return HttpReply(self._status, body.encode(), {"x-request-id": told})


@pytest.mark.parametrize("page", [False, True], ids=["refusal", "page"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
def test_a_key_that_is_repeated_is_kept_nowhere(status: int, page: bool, sleeps: Sleeps) -> None:
    """What is judged holds it; what is raised does not, nor the local variables on the way."""
    server = HttpServer(_Repeating(status, page=page))
    agb = AGB(KEY, f"http://127.0.0.1:{server.port}", sleep=sleeps)
    requests = [
        endpoints.create_session(IMAGE, {}, 60, None),
        endpoints.get_info("session-1"),
        endpoints.get_status("session-1"),
        endpoints.call_tool("session-1", "shell", {}, 1),
    ]
    try:
        for request in requests:
            with pytest.raises(AGBError) as caught:
                agb.send(request)

            error = caught.value
            assert KEY not in f"{error} {error!r} {error.args} {vars(error)} {pickle.dumps(error)!r}"
            assert "[API key]" in error.message
            frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
            assert KEY not in "".join(str(frame.locals) for frame in frames if "pytest_agb" in frame.filename)
    finally:
        agb.close()
        server.close()


@pytest.mark.parametrize("fault", ["drop_before", "html", "503"])
def test_no_local_variable_of_a_traceback_shows_the_key(
    service: StandIn, sleeps: Sleeps, fault: Fault
) -> None:
    agb = AGB(service.api_key, service.endpoint, sleep=sleeps)
    service.fault("/sdk/ListSession", fault, times=10)
    with pytest.raises(AGBError) as caught:
        list(agb.iter_session_ids())

    error: BaseException | None = caught.value
    while error is not None:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        for frame in frames:
            if "pytest_agb" in frame.filename or "httpx" in frame.filename:
                assert service.api_key not in str(frame.locals)
        error = error.__context__
    agb.close()


@pytest.mark.parametrize("given", [(KEY, "not a URL"), (KEY,), ()])
def test_a_constructor_that_fails_does_not_show_the_key(
    given: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", KEY)
    monkeypatch.setenv("AGB_ENDPOINT", "not a URL")

    with pytest.raises(ValueError, match="not a base URL") as caught:
        AGB(*given)

    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert KEY not in "".join(str(frame.locals) for frame in frames if "pytest_agb/client" in frame.filename)


def test_what_opens_a_session_is_not_shown(agb: AGB, session: Session) -> None:
    shown = repr([session, session.info(), agb.get_session(session.session_id), session.get_link()])

    assert "secret" not in shown
    assert "url-secret" in session.resource_url
    assert "url-secret" not in repr(vars(session))
    assert "link-secret" in session.get_link().data
