from __future__ import annotations

from typing import Any

import pytest
from support.standin import IMAGE, StandIn
from support.standin_faults import Fault

from pytest_agb import AGB, AGBError, CreateSessionParams, InvalidRequestError, ProtocolError

LIST = "/sdk/ListSession"


@pytest.fixture
def ids(agb: AGB) -> list[str]:
    """Five sessions of a project, after one of another."""
    agb.create(CreateSessionParams(IMAGE, labels={"project": "other"})).check()
    labels = {"project": "demo", "environment": "testing"}
    results = [agb.create(CreateSessionParams(IMAGE, labels=labels)).check() for _ in range(5)]
    return [result.session.session_id for result in results if result.session]


def test_no_sessions_are_a_success(agb: AGB) -> None:
    result = agb.list().check()

    assert (result.session_ids, result.total_count, result.next_token) == ([], 0, None)
    assert result.request_id
    assert bool(result)


def test_all_labels_must_fit(agb: AGB, ids: list[str]) -> None:
    assert agb.list(labels={"project": "demo", "environment": "testing"}).session_ids == ids
    assert agb.list(labels={"project": "demo", "environment": "production"}).check().session_ids == []
    assert agb.list().total_count == 6


def test_pages_are_walked(service: StandIn, agb: AGB, ids: list[str]) -> None:
    first = agb.list({"project": "demo"}, page=1, limit=2).check()
    third = agb.list({"project": "demo"}, page=3, limit=2).check()

    assert (first.session_ids, first.next_token, first.total_count) == (ids[:2], "2", 5)
    assert (third.session_ids, third.next_token, third.total_count) == (ids[4:], None, 5)


@pytest.mark.parametrize("page", [4, 50])
def test_a_page_past_the_end_is_empty_and_a_success(
    service: StandIn, agb: AGB, ids: list[str], page: int
) -> None:
    result = agb.list({"project": "demo"}, page=page, limit=2).check()

    assert (result.session_ids, result.next_token, result.total_count) == ([], None, 5)
    assert service.count(LIST) == 3  # not one request more than there are pages


@pytest.mark.parametrize("wrong", [{"page": 0}, {"page": -1}, {"limit": 0}, {"page": "2"}, {"limit": 1.5}])
def test_page_and_limit_count_from_one(service: StandIn, agb: AGB, wrong: dict[str, Any]) -> None:
    result = agb.list(**wrong)

    assert isinstance(result.error, InvalidRequestError)
    assert service.requests == []


def test_all_ids_cost_one_request_a_page(service: StandIn, agb: AGB, ids: list[str]) -> None:
    assert list(agb.iter_session_ids({"project": "demo"}, limit=2)) == ids
    assert service.count(LIST) == 3


def test_the_iterator_raises_what_a_list_reports(service: StandIn, agb: AGB) -> None:
    service.fault(LIST, "401")

    with pytest.raises(Exception, match="Could not list sessions"):
        list(agb.iter_session_ids())


@pytest.mark.parametrize("fault", ["circle", "no_end"])
def test_pages_that_never_end_do(service: StandIn, agb: AGB, ids: list[str], fault: Fault) -> None:
    service.fault(LIST, fault, times=1000)
    given: list[str] = []

    with pytest.raises(ProtocolError, match="the pages go round in a circle"):
        given.extend(
            agb.iter_session_ids({"project": "demo"}, limit=2)
        )  # what there was is given all the same
    if fault == "circle":
        assert isinstance(agb.list({"project": "demo"}, page=1000, limit=2).error, ProtocolError)

    assert service.count(LIST) < 120


def test_a_session_that_is_listed_twice_is_given_once(service: StandIn, agb: AGB, ids: list[str]) -> None:
    service.fault(LIST, "circle", times=2)
    service.fault(LIST, "400_after")
    given: list[str] = []

    with pytest.raises(AGBError):
        given.extend(agb.iter_session_ids({"project": "demo"}, limit=4))

    assert given == ids


def test_ten_sessions_beside_ten_thousand_cost_one_request(service: StandIn, agb: AGB) -> None:
    for _ in range(10_000):
        service.add_session({"project": "another"})
    ours = [service.add_session({"project": "demo"}) for _ in range(10)]

    assert list(agb.iter_session_ids({"project": "demo"})) == ours
    assert service.count(LIST) == 1


def test_released_sessions_are_not_listed(agb: AGB, ids: list[str]) -> None:
    agb.release(ids[0]).check()

    assert ids[0] not in agb.list({"project": "demo"}).session_ids


def test_a_listing_can_be_iterated_as_in_the_guide(agb: AGB, ids: list[str]) -> None:
    sessions = agb.list({"project": "demo"})

    assert [session.session_id for session in sessions] == ids


def test_invalid_label_filters_are_refused(agb: AGB) -> None:
    assert isinstance(agb.list({"project": None}).error, InvalidRequestError)  # type: ignore[dict-item]
