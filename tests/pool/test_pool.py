"""The pool without pytest: what is acquired through it is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, finish, spoil
from support.standin import StandIn

from pytest_agb.client import AGBError
from pytest_agb.pool.pool import Pool
from pytest_agb.settings import Settings


def test_acquire_release_drain(service: StandIn, pools: Callable[[], Pool], settings: Settings) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]

    pool.release(lease)
    pool.close()

    assert finish(settings) == (1, 1, 0)
    assert service.live_sessions() == []


def test_release_does_not_wait_for_the_service(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    service.round_trip_seconds = 2.0
    began = time.monotonic()

    pool.release(lease)

    assert time.monotonic() - began < 1.0
    assert not lease.session.command.execute_command("true").success
    service.round_trip_seconds = 0.0


def test_threads_of_a_test_lease_at_once(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    with ThreadPoolExecutor(8) as threads:
        leases = list(threads.map(lambda _: pool.acquire(PARAMS), range(40)))
        list(threads.map(pool.release, leases))

    assert len({lease.session.session_id for lease in leases}) == 40
    eventually(lambda: not service.live_sessions(), "all are deleted")


def test_a_lease_ends_once(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    pool.release(lease)
    eventually(lambda: not service.live_sessions(), "it is deleted")

    pool.release(lease)
    pool.keep(lease, "a test")

    assert pool.kept() == []


def test_a_lease_that_was_taken_away_is_told_once_and_has_ended(
    pools: Callable[[], Pool], settings: Settings
) -> None:
    """So that who replaces it can give it back first, and owns no more than one whatever fails."""
    pool = pools()
    lease = pool.acquire(PARAMS)
    spoil(settings, "UPDATE slots SET state = 'gone'")

    with pytest.raises(AGBError, match="was deleted while it was leased"):
        pool.release(lease)
    pool.release(lease)


def test_the_place_of_a_lease_that_is_given_back_first_is_there_for_the_next(
    settings: Settings, pools: Callable[[], Pool]
) -> None:
    pools()  # ends the run for us
    pool = Pool(settings._replace(max_sessions=1))
    lease = pool.acquire(PARAMS)
    pool.release(lease)

    pool.acquire(PARAMS)
    pool.close()
