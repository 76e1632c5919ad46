"""Waiting for a session: what was lost is found, what is refused is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS
from support.standin import StandIn

from pytest_agb.client import AGBError, InvalidRequestError
from pytest_agb.pool.lease import Lease
from pytest_agb.pool.pool import Pool
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings


def test_a_session_whose_answer_was_lost_is_found_and_leased(
    service: StandIn, pools: Callable[[], Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after")

    lease = pools().acquire(PARAMS)

    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]
    assert service.count("/mcp/createSession") == 1


def test_a_lost_session_that_shows_up_after_another_took_its_place_is_deleted(
    service: StandIn, pools: Callable[[], Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after")
    service.label_lag_seconds = 3.0

    lease = pools().acquire(PARAMS)

    assert service.count("/mcp/createSession") == 2
    eventually(
        lambda: [session.session_id for session in service.live_sessions()] == [lease.session.session_id],
        "the one that was lost is found and deleted",
    )


def test_lost_sessions_that_nobody_waits_for_any_more_are_deleted(
    service: StandIn, settings: Settings, pools: Callable[[], Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after", times=2)
    service.label_lag_seconds = 4.0
    with pytest.raises(AGBError, match="broke before the answer came"):
        pools().acquire(PARAMS)

    assert len(service.sessions) == 2
    eventually(lambda: not service.live_sessions(), "found and deleted")


def test_a_create_that_takes_too_long_is_a_lost_one(
    service: StandIn, settings: Settings, pools: Callable[[], Pool]
) -> None:
    service.latency["/mcp/createSession"] = 1.5
    pools()  # ends the run for us
    pool = Pool(settings._replace(timeout_seconds=1.0))

    lease = pool.acquire(PARAMS)

    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]
    pool.close()


def test_reserved_labels_are_refused_before_anything_is_written(
    service: StandIn, pools: Callable[[], Pool], temp_directory: Path
) -> None:
    with pytest.raises(InvalidRequestError, match="'created_by' is reserved"):
        pools().acquire(replace(PARAMS, labels={"created_by": "me"}))

    assert len(service.requests) == 0
    assert list(temp_directory.iterdir()) == []


def test_a_wrong_key_is_asked_about_once(
    service: StandIn, settings: Settings, pools: Callable[[], Pool]
) -> None:
    pool = Pool(settings._replace(api_key=Secret("ako-wrong")))
    messages = []
    for _ in range(3):
        with pytest.raises(AGBError) as caught:
            pool.acquire(PARAMS)
        messages.append(str(caught.value))

    assert service.count("/mcp/createSession") == 1
    assert "earlier test" in messages[2]
    pool.close()


def test_no_room_is_blamed_for_as_long_as_there_is_none(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    reasons: list[str] = []

    def acquire() -> Lease:
        reasons.clear()
        return pool.acquire(PARAMS, on_wait=lambda seconds, why, alarming: reasons.append(why))

    service.fault("/mcp/createSession", "429")
    lease = acquire()
    assert any("the service has no room: " in why for why in reasons), reasons
    pool.release(lease)
    eventually(lambda: not service.live_sessions(), "there is room again")
    service.latency["/mcp/createSession"] = 1.0

    pool.release(acquire())

    assert set(reasons) == {"one is being created"}
