from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import (
    AGB,
    AGBError,
    AGBTimeoutError,
    AuthenticationError,
    CreateSessionParams,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    Session,
)

if TYPE_CHECKING:
    from support.standin_clock import Sleeps
    from support.standin_faults import Fault

STATUS = "/mcp/getSessionInfo"
RELEASE = "/mcp/releaseSessionAsync"


def test_a_deleted_session_is_gone(service: StandIn, agb: AGB, session: Session) -> None:
    assert agb.delete(session).success
    assert service.live_sessions() == []
    assert agb.is_gone(session.session_id)


def test_delete_waits_until_the_session_is_gone(service: StandIn) -> None:
    service.delete_seconds = 0.2
    with AGB(service.api_key, service.endpoint) as agb:
        session = agb.create(CreateSessionParams(IMAGE)).check().session
        assert session is not None

        assert session.delete().success

    assert service.live_sessions() == []
    assert service.count(STATUS) >= 2


def test_delete_waits_with_growing_intervals_and_a_bound(service: StandIn, sleeps: Sleeps) -> None:
    service.delete_seconds = 1000
    agb = AGB(service.api_key, service.endpoint, sleep=sleeps, clock=sleeps.clock)
    session = agb.create(CreateSessionParams(IMAGE)).check().session
    assert session is not None

    result = agb.delete(session, timeout_seconds=20)

    assert isinstance(result.error, AGBTimeoutError)
    assert "still being deleted after 20 s" in result.error_message
    assert sleeps == sorted(sleeps)
    assert sum(sleeps) <= 20
    assert max(sleeps) == agb.settings.delete_poll_longest_seconds


def test_deleting_twice_is_a_success(service: StandIn, session: Session) -> None:
    session.delete().check()

    assert session.delete().success
    assert service.count(RELEASE) == 1


def test_deleting_what_is_gone_is_a_success(service: StandIn, agb: AGB, session: Session) -> None:
    service.end_session(session.session_id)

    assert agb.delete(session).success
    assert agb.release(session.session_id).success


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("401", AuthenticationError), ("400_key", AuthenticationError), ("403", PermissionDeniedError)],
)
def test_who_may_not_ask_whether_it_is_gone_does_not_ask_on(
    service: StandIn, agb: AGB, session: Session, fault: Fault, kind: type[AGBError]
) -> None:
    service.fault(STATUS, fault)

    assert type(agb.delete(session).error) is kind
    assert service.count(STATUS) == 1


def test_release_does_not_wait(service: StandIn, agb: AGB, session: Session) -> None:
    service.delete_seconds = 1000

    assert agb.release(session.session_id).success

    assert not agb.is_gone(session.session_id)
    assert agb.get_status(session.session_id).status == "DELETING"


@pytest.mark.parametrize("status", ["FINISH", "DELETED"])
def test_a_finished_session_is_gone(
    service: StandIn, agb: AGB, session: Session, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_status", lambda session: status)

    assert agb.is_gone(session.session_id)
    assert isinstance(agb.get(session.session_id).error, NotFoundError)
    assert agb.delete(session).success


def test_a_bad_answer_while_waiting_changes_nothing(service: StandIn, agb: AGB, session: Session) -> None:
    service.fault(STATUS, "html")

    assert agb.delete(session).success


def test_a_page_without_json_is_no_proof_that_a_session_is_gone(
    service: StandIn, agb: AGB, session: Session
) -> None:
    wrong_place = AGB(service.api_key, service.endpoint + "/elsewhere")
    service.fault("/elsewhere" + RELEASE, "html")

    assert not wrong_place.release(session.session_id).success


def test_a_used_up_session_says_that_it_was_deleted(service: StandIn, session: Session) -> None:
    session.delete().check()
    sent = len(service.requests)

    for result in (
        session.info(),
        session.get_status(),
        session.get_labels(),
        session.set_labels({"a": "b"}),
        session.keep_alive(),
        session.code.run_code("1", "python"),
        session.command.execute_command("ls"),
        session.file_system.read_file("/a"),
        session.file.write("/a", "b"),
    ):
        assert isinstance(result.error, NotFoundError)
        assert "was deleted" in result.error_message
    assert len(service.requests) == sent


def test_another_account_cannot_delete_it(service: StandIn, session: Session) -> None:
    service.add_account("ako-another-account")
    other = AGB("ako-another-account", service.endpoint)

    result = other.delete(session)

    assert isinstance(result.error, InvalidRequestError)
    assert len(service.live_sessions()) == 1


@pytest.mark.parametrize("thing", [None, "session-000001"])
def test_only_a_session_can_be_deleted(agb: AGB, thing: Any) -> None:
    assert isinstance(agb.delete(thing).error, InvalidRequestError)


def test_a_session_deletes_itself_as_a_context_manager(service: StandIn, agb: AGB, session: Session) -> None:
    with session as entered:
        assert entered is session

    assert service.live_sessions() == []


def test_the_error_of_the_block_is_the_one_that_is_seen(service: StandIn, session: Session) -> None:
    service.fault(RELEASE, "401")

    with pytest.raises(ZeroDivisionError), session:
        1 / 0  # noqa: B018


def test_a_context_manager_that_cannot_delete_raises(service: StandIn, session: Session) -> None:
    service.fault(RELEASE, "401")

    with pytest.raises(Exception, match="Could not release"), session:
        pass
