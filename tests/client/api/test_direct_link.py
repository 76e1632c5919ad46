"""The direct way to a session's tools, which the service may offer."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

import pytest
from support.standin import IMAGE, StandIn, ToolError

from pytest_agb import AGB, CreateSessionParams, NotFoundError, PermissionDeniedError, Session
from pytest_agb import ToolError as ClientToolError
from pytest_agb.client.api.messages import Answer
from pytest_agb.secret import Secret


@pytest.fixture
def linked(service: StandIn, agb: AGB) -> Session:
    service.direct_links = True
    service.tools["read_file"] = lambda session, args: f"content of {args['path']}"
    service.tools["shell"] = lambda session, args: args["command"]
    session = agb.create(CreateSessionParams(IMAGE)).check().session
    assert session is not None
    return session


def read(session: Session) -> Any:
    return session.call_mcp_tool("read_file", {"path": "a"}).check().data


@pytest.mark.parametrize("as_text", [False, True], ids=["object", "text"])
def test_tools_are_called_by_it_over_the_same_connection(
    service: StandIn, agb: AGB, linked: Session, as_text: bool
) -> None:
    service.direct_links_as_text = as_text
    found = agb.get(linked.session_id).check().session
    assert found is not None

    assert read(linked) == read(found) == "content of a"
    assert linked.command.execute("ls").check().output == "ls"

    assert service.count(f"/link/{linked.session_id}/callTool") == 3
    assert service.count("/mcp") == 0
    assert service.connections == 1


def test_what_is_sent_is_what_the_official_sdk_sends(service: StandIn, linked: Session) -> None:
    read(linked)

    sent = service.requests[-1]
    assert sent.http.headers["x-access-token"] == sent.body["token"] == f"token-secret-{linked.session_id}"
    assert "authorization" not in sent.http.headers
    assert sent.body["requestId"].startswith("link-")
    rest = {key: value for key, value in sent.body.items() if key not in ("requestId", "token")}
    assert rest == {"args": {"path": "a"}, "server": "server of read_file", "tool": "read_file"}


def test_a_tool_without_a_server_is_called_by_the_api(service: StandIn, linked: Session) -> None:
    service.tools["late"] = lambda *_: "late"

    assert linked.call_mcp_tool("late").check().data == "late"
    assert service.count("/mcp") == 1


@pytest.mark.parametrize("url", ["https://example.invalid", "http://192.0.2.1/x"])
def test_a_link_that_leads_off_this_machine_is_not_taken(service: StandIn, agb: AGB, url: str) -> None:
    """The client of a loopback endpoint checks no certificate and uses no proxy."""
    service.direct_links = True
    service.tools["read_file"] = lambda session, args: "content"
    service.stream = {"linkUrl": url}
    session = agb.create(CreateSessionParams(IMAGE)).check().session
    assert session is not None
    found = agb.get(session.session_id).check().session
    assert found is not None

    assert read(found) == "content"
    assert service.count("/mcp") == 1


@pytest.mark.parametrize(
    ("url", "taken"),
    [("https://link.invalid", True), ("http://link.invalid", False), ("https://127.0.0.1", False)],
)
def test_a_link_is_as_well_guarded_as_the_endpoint(url: str, taken: bool) -> None:
    data = {"linkUrl": url, "token": "t", "toolList": '[{"name": "shell", "server": "s"}]'}
    with AGB("ako-1", "https://api.invalid") as agb:
        assert (agb._direct_link(Answer(200, {"data": data})) is not None) is taken


def fails(session: StandIn, args: object) -> str:
    raise ToolError("no such file")


def test_failures_are_the_tools_or_the_sessions(service: StandIn, agb: AGB, linked: Session) -> None:
    service.tools["read_file"] = fails  # type: ignore[assignment]
    with pytest.raises(ClientToolError, match="no such file"):
        read(linked)
    agb.get(linked.session_id).check()
    service.end_session(linked.session_id)
    with pytest.raises(NotFoundError):
        read(linked)


@pytest.mark.parametrize("fault", ["html_502", "drop_after", "503"])
def test_a_call_that_broke_is_not_repeated(service: StandIn, linked: Session, fault: Any) -> None:
    path = f"/link/{linked.session_id}/callTool"
    service.fault(path, fault)

    assert not linked.call_mcp_tool("read_file", {"path": "a"}).success
    assert (service.count(path), service.count("/mcp")) == (1, 0)


def test_the_token_is_not_shown(linked: Session) -> None:
    """The service repeats a token that it refuses, which clients must not."""
    link = linked.direct_link
    assert link is not None
    assert "token-secret" not in repr([linked, vars(linked)])
    linked.direct_link = replace(link, token=Secret("token-secret-of-another"))

    with pytest.raises(PermissionDeniedError, match=r"The token \[token\] is not the session's") as caught:
        read(linked)

    for frame in traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack:
        if "pytest_agb" in frame.filename or "httpx" in frame.filename:
            assert "token-secret" not in str(frame.locals)
