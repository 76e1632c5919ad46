from __future__ import annotations

from typing import Any

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import AGB, CreateSessionParams, InvalidRequestError, NotFoundError, Session


def test_a_create_sends_what_the_official_sdk_sends(service: StandIn, agb: AGB) -> None:
    params = CreateSessionParams(IMAGE, labels={"名": "测试"}, idle_release_timeout=60, policy_id="pol-1")

    session = agb.create(params).check().session

    assert session is not None
    assert session.image_id == IMAGE
    assert session.resource_id == f"res-{session.session_id}"
    assert session.app_instance_id == f"app-{session.session_id}"
    assert service.requests[0].http.query == {"imageId": IMAGE}
    assert service.requests[0].body == {
        "labels": '{"\\u540d": "\\u6d4b\\u8bd5"}',
        "timeout": 60,
        "mcpPolicyId": "pol-1",
    }


def test_every_create_names_an_idle_timeout(service: StandIn, agb: AGB) -> None:
    agb.create(CreateSessionParams(IMAGE)).check()
    agb.create(CreateSessionParams(IMAGE, idle_release_timeout=None)).check()

    assert [request.body for request in service.requests] == [{"timeout": 300}, {"timeout": 300}]


@pytest.mark.parametrize(
    "params",
    [
        CreateSessionParams(""),
        CreateSessionParams("  "),
        CreateSessionParams(IMAGE, idle_release_timeout=0),
        CreateSessionParams(IMAGE, idle_release_timeout=1.5),  # type: ignore[arg-type]
        CreateSessionParams(IMAGE, labels={"a": ""}),
        None,
        {"image_id": IMAGE},
    ],
)
def test_bad_parameters_are_refused_without_a_request(service: StandIn, agb: AGB, params: Any) -> None:
    result = agb.create(params)

    assert isinstance(result.error, InvalidRequestError)
    assert not result.error.maybe_executed
    assert service.requests == []


def test_get_gives_a_session_that_works(agb: AGB, session: Session) -> None:
    found = agb.get(session.session_id).check().session

    assert found is not None
    assert found.session_id == session.session_id
    assert found.info().check().data["resource_url"] == session.resource_url
    assert found.keep_alive().success
    assert found.get_status().status == "RUNNING"


def test_get_session_gives_what_the_service_says(agb: AGB, session: Session) -> None:
    result = agb.get_session(session.session_id).check()

    assert result.data is not None
    assert (result.data.session_id, result.data.status) == (session.session_id, "RUNNING")


@pytest.mark.parametrize("session_id", ["", " ", None, 7])
def test_a_session_id_must_be_one(service: StandIn, agb: AGB, session_id: Any) -> None:
    for result in (agb.get(session_id), agb.get_session(session_id), agb.release(session_id)):
        assert isinstance(result.error, InvalidRequestError)
    assert service.requests == []


def test_get_of_an_unknown_session_is_not_found(agb: AGB) -> None:
    result = agb.get("session-nowhere")

    assert isinstance(result.error, NotFoundError)
    assert "session-nowhere" in result.error_message


def test_a_session_that_the_service_released_says_so(service: StandIn, session: Session) -> None:
    service.end_session(session.session_id)

    for result in (session.info(), session.command.execute("ls"), session.keep_alive(), session.get_labels()):
        assert isinstance(result.error, NotFoundError)
        assert "idle timeout" in str(result.error)


def test_tools_and_links(service: StandIn, agb: AGB, session: Session) -> None:
    service.tools["shell"] = lambda session, args: f"{session.session_id} {args}"

    assert [tool.name for tool in session.list_mcp_tools().check().tools] == ["shell"]
    assert session.call_mcp_tool("shell", {"a": 1}).check().data == f"{session.session_id} {{'a': 1}}"
    assert "not found" in session.call_mcp_tool("nonsense").error_message
    assert session.get_link("https", 30100).check().data.startswith("https://link.invalid/")
    assert service.requests[-1].http.query == {
        "sessionId": session.session_id,
        "protocolType": "https",
        "port": "30100",
    }
    other = agb.get(session.session_id).check().session
    assert other is not None
    assert "image_id" in other.list_mcp_tools().error_message


@pytest.mark.parametrize("name", ["session-\ud800", "session-\0"])
def test_an_id_that_cannot_be_sent_is_a_failed_result(agb: AGB, name: str) -> None:
    assert not agb.get(name).success
    assert not agb.create(CreateSessionParams(name)).success
    assert not Session(agb, name).get_labels().success


def test_arguments_that_json_cannot_hold_are_refused(session: Session) -> None:
    for value in (object(), float("nan")):
        assert isinstance(session.call_mcp_tool("shell", {"a": value}).error, InvalidRequestError)


def test_metrics_are_read_under_old_and_new_names(service: StandIn, session: Session) -> None:
    service.tools["get_metrics"] = lambda *_: '{"cpu_count": 4, "cpu_used_pct": 25.5, "rx_rate_kbps": 7}'

    metrics = session.get_metrics().check().metrics

    assert metrics is not None
    assert (metrics.cpu_count, metrics.cpu_used_pct, metrics.rx_rate_kbyte_per_s) == (4, 25.5, 7)


def test_what_is_not_known_of_a_session_is_asked_for_once(
    service: StandIn, agb: AGB, session: Session
) -> None:
    known = Session(agb, session.session_id)

    assert known.resource_url == session.resource_url
    assert (known.resource_id, known.app_instance_id) == (session.resource_id, session.app_instance_id)
    assert service.count("/mcp/getSession") == 1
    service.end_session(session.session_id)
    with pytest.raises(NotFoundError):
        _ = Session(agb, session.session_id).resource_url
