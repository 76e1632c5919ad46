from __future__ import annotations

from typing import Any

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import AGB, CreateSessionParams, InvalidRequestError, Session
from pytest_agb.labels import RESERVED

OURS = {
    "created_by": "pytest-agb",
    "agb_run": "run-1",
    "agb_slot": "slot-1",
    "agb_created": "1789997600",
    "agb_expires": "1790000000",
}


@pytest.fixture
def ours(agb: AGB) -> Session:
    """A session as the pool makes them."""
    params = CreateSessionParams(IMAGE, labels={"project": "demo"})
    session = agb.create(params, reserved_labels=OURS).check().session
    assert session is not None
    return session


def test_labels_are_set_replaced_and_read(service: StandIn, session: Session) -> None:
    session.set_labels({"project": "demo", "environment": "testing"}).check()
    session.set_labels({"project": "other"}).check()

    assert session.get_labels().check().data == {"project": "other"}
    assert service.count("/sdk/GetLabel") == 1  # what a session of our own carries is known


def test_the_plugins_labels_survive_the_users(service: StandIn, ours: Session) -> None:
    ours.set_labels({"project": "other"}).check()

    assert service.sessions[ours.session_id].labels == {**OURS, "project": "other"}
    assert ours.get_labels().check().data == {"project": "other"}
    assert ours.get_labels(include_reserved=True).check().data == {**OURS, "project": "other"}


def test_the_plugins_labels_survive_on_a_session_from_get(service: StandIn, agb: AGB, ours: Session) -> None:
    found = agb.get(ours.session_id).check().session
    assert found is not None

    found.set_labels({"project": "other"}).check()

    assert service.sessions[ours.session_id].labels == {**OURS, "project": "other"}


def test_a_session_from_get_without_labels_takes_them(service: StandIn, agb: AGB, session: Session) -> None:
    found = agb.get(session.session_id).check().session
    assert found is not None

    found.set_labels({"created_by": "agb-sdk"}).check()

    assert service.sessions[session.session_id].labels == {"created_by": "agb-sdk"}


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_reserved_keys_are_refused_on_the_plugins_sessions(
    service: StandIn, agb: AGB, ours: Session, key: str
) -> None:
    found = agb.get(ours.session_id).check().session
    assert found is not None

    for session in (ours, found):
        result = session.set_labels({key: "mine"})
        assert isinstance(result.error, InvalidRequestError)
        assert key in result.error_message
    assert service.count("/sdk/SetLabel") == 0


def test_the_guides_created_by_is_the_users_own(service: StandIn, agb: AGB) -> None:
    labels = {"created_by": "agb-sdk", "project": "demo"}

    session = agb.create(CreateSessionParams(IMAGE, labels=labels)).check().session
    assert session is not None
    session.set_labels({**labels, "status": "done"}).check()

    assert session.get_labels().check().data == {**labels, "status": "done"}


@pytest.mark.parametrize("labels", [{"agb_run": "x"}, {"created_by": "pytest-agb"}])
def test_a_plain_session_cannot_pass_for_the_plugins(
    service: StandIn, agb: AGB, session: Session, labels: dict[str, str]
) -> None:
    sent = len(service.requests)

    assert isinstance(agb.create(CreateSessionParams(IMAGE, labels=labels)).error, InvalidRequestError)
    assert isinstance(session.set_labels(labels).error, InvalidRequestError)
    assert len(service.requests) == sent


def test_a_user_cannot_override_the_pools_created_by(service: StandIn, agb: AGB) -> None:
    params = CreateSessionParams(IMAGE, labels={"created_by": "me"})

    assert isinstance(agb.create(params, reserved_labels=OURS).error, InvalidRequestError)
    assert service.requests == []


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "mapping"),
        (["project"], "mapping"),
        ({}, "at least one"),
        ({"": "x"}, "key is empty"),
        ({" ": "x"}, "key is empty"),
        ({1: "x"}, "must be strings"),
        ({"project": ""}, "'project' is empty"),
        ({"project": None}, "'project'"),
        ({"project": 1}, "'project'"),
    ],
)
def test_invalid_labels_are_refused_without_a_request(
    service: StandIn, session: Session, labels: Any, said: str
) -> None:
    sent = len(service.requests)

    result = session.set_labels(labels)

    assert isinstance(result.error, InvalidRequestError)
    assert said in result.error_message
    assert len(service.requests) == sent


@pytest.mark.parametrize("labels", [None, {}])
def test_no_labels_are_no_labels(service: StandIn, agb: AGB, labels: Any) -> None:
    agb.create(CreateSessionParams(IMAGE, labels=labels)).check()

    assert service.live_sessions()[0].labels == {}
