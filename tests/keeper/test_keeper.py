"""The keeper: one that dies is replaced, and what it left is seen to by the next."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, finish, in_a_fork, keepers_pid, kill_keeper, spoil
from support.standin import StandIn

from pytest_agb.client import AGBError
from pytest_agb.pool.pool import Pool
from pytest_agb.run import run_directory
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


def test_the_keeper_keeps_what_is_leased_alive(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    lease = pool.acquire(replace(PARAMS, idle_release_timeout=1))

    eventually(lambda: service.count("/mcp/refreshSessionIdleTime") >= 3, "it was kept alive three times")

    assert lease.session.get_status().success


def test_a_keeper_that_was_killed_is_replaced(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    kill_keeper(settings)

    pool.acquire(PARAMS)
    pool.release(lease)

    eventually(lambda: len(service.live_sessions()) == 1, "the new keeper deletes")


def test_a_keeper_that_is_asked_to_end_ends_when_all_is_deleted(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    """As when a whole systemd unit is stopped, or the machine shut down."""
    pool = pools()
    pool.acquire(PARAMS)
    keeper = keepers_pid(settings)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(keeper, number)
    pool.close()

    eventually(lambda: not service.live_sessions(), "the session is deleted")
    assert keepers_pid(settings) == keeper


def test_keepers_that_fail_one_after_the_other_are_an_error(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    pool.acquire(PARAMS)
    refuse = "BEFORE INSERT ON slots BEGIN SELECT RAISE(ABORT, 'no more slots'); END"
    spoil(settings, f"CREATE TRIGGER broken {refuse}")
    for _ in range(2):
        with pytest.raises(AGBError, match=r"keeper died 4 times within 10 minutes and [\s\S]*no more slots"):
            pool.acquire(PARAMS)
    spoil(settings, "DROP TRIGGER broken")
    (run_directory.path(settings.run_id) / "keeper.restarts").unlink()  # so that the next one can clean up


def die(settings: Settings) -> None:
    """A run that dies with its keeper, and leaves a session."""

    def child() -> None:
        Pool(settings).acquire(PARAMS)
        kill_keeper(settings)

    assert in_a_fork(child) == 0


def test_the_next_run_deletes_what_a_dead_one_and_its_dead_keeper_left(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    die(settings._replace(run_id="run-00000000"))
    assert len(service.live_sessions()) == 1

    pool = pools()
    lease = pool.acquire(PARAMS)

    eventually(lambda: len(service.live_sessions()) == 1, "what the dead run left is deleted")
    assert lease.session.get_status().success
    eventually(lambda: not run_directory.path("run-00000000").exists(), "its directory is removed")


def test_a_dead_runs_session_that_can_live_for_longer_than_a_week_is_not_forgotten(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    dead = settings._replace(run_id="run-00000000", max_lifetime=900_000)
    die(dead)
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(run_directory.path(dead.run_id), (eight_days_ago, eight_days_ago))

    pools().acquire(PARAMS)

    eventually(lambda: len(service.live_sessions()) == 1, "what the dead run left is deleted")
    eventually(lambda: not run_directory.path(dead.run_id).exists(), "its directory is removed")


def test_another_accounts_run_leaves_it_alone(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    service.add_account("ako-other")
    other = settings._replace(run_id="run-00000000", api_key=Secret("ako-other"))
    die(other)

    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()
    finish(settings)

    assert [session.api_key for session in service.live_sessions()] == ["ako-other"]
    assert run_directory.path("run-00000000").exists()
    finish(other)  # its own account's next run
    assert service.live_sessions() == []
