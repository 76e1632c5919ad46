"""A keeper that is stopped lives, and does nothing: it is told, never replaced, and goes on where it was."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, keepers_pid
from support.standin import StandIn

from pytest_agb.client import AGBTimeoutError
from pytest_agb.plugin.report.summary import lines
from pytest_agb.pool.pool import Pool
from pytest_agb.pool.shutdown import drain
from pytest_agb.run import run_directory
from pytest_agb.run.one_per_host import OnePerHost
from pytest_agb.settings import Settings


@pytest.fixture
def stopped(pools: Callable[[], Pool], settings: Settings) -> Iterator[Pool]:
    """A pool with a leased session, whose keeper is stopped while the test runs."""
    pool = pools()
    pool.acquire(PARAMS)
    keeper = keepers_pid(settings)
    os.kill(keeper, signal.SIGSTOP)
    yield pool
    assert keepers_pid(settings) == keeper, "it was replaced"
    os.kill(keeper, signal.SIGCONT)


def test_who_waits_is_told_within_five_seconds_and_again_as_that_ends(
    service: StandIn, stopped: Pool, settings: Settings
) -> None:
    told: list[float] = []

    def on_wait(seconds: float, why: str, alarming: bool) -> None:
        if alarming and f"process {keepers_pid(settings)}) has stood still" in why:
            told.append(seconds)

    stopped._settings = settings._replace(wait_timeout=6)
    with pytest.raises(
        AGBTimeoutError, match=r"keeper \(process \d+\) has stood still for \d s, .*kill -CONT"
    ):
        stopped.acquire(PARAMS, on_wait=on_wait)

    assert told
    assert told[0] <= 5.0


def test_the_end_of_the_run_tells_it_and_does_not_wait(
    service: StandIn, stopped: Pool, settings: Settings
) -> None:
    stopped.close()
    began = time.monotonic()

    summary = drain(settings, lambda left: None)

    assert time.monotonic() - began < 6.0
    assert summary is not None
    first, keeper, *_ = lines(summary, settings)
    assert first == (
        "agb: 1 session created, 0 deleted, 0 kept, 1 left, did not wait for the rest "
        "(the keeper stands still); nothing deletes it until the keeper goes on"
    )
    assert "kill -CONT" in keeper


def test_it_goes_on_where_it_was(service: StandIn, pools: Callable[[], Pool], settings: Settings) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    keeper = keepers_pid(settings)
    place = OnePerHost(run_directory.path(settings.run_id), "keeper")
    os.kill(keeper, signal.SIGSTOP)
    eventually(place.standstill, "it stands still")
    pool.release(lease)
    os.kill(keeper, signal.SIGCONT)

    eventually(lambda: not service.live_sessions(), "it deletes")

    assert not place.standstill()
    assert keepers_pid(settings) == keeper
