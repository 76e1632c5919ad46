"""The pool without pytest: what is acquired through it is deleted, whoever dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, finish, in_a_fork, keepers_pid, kill_keeper
from support.standin import StandIn

from pytest_agb.client import AGBError, AGBTimeoutError, InvalidRequestError
from pytest_agb.plugin.report.summary import lines
from pytest_agb.pool.pool import Pool
from pytest_agb.pool.shutdown import drain
from pytest_agb.run import run_directory
from pytest_agb.run.one_per_host import OnePerHost
from pytest_agb.settings import Settings


def test_acquire_release_drain(service: StandIn, pools: Callable[[], Pool], settings: Settings) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]

    pool.release(lease)
    pool.close()

    assert finish(settings) == (1, 1, 0)
    assert service.live_sessions() == []


def test_draining_a_run_whose_keeper_just_left_leaves_nothing_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "exists", lambda run_id: True)  # it was, a moment ago

    assert drain(settings, lambda left: None) is None
    assert not run_directory.path(settings.run_id).exists()


def test_release_does_not_wait_for_the_service(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    service.round_trip_seconds = 2.0
    began = time.monotonic()

    pool.release(lease)

    assert time.monotonic() - began < 1.0
    assert not lease.session.command.execute_command("true").success
    service.round_trip_seconds = 0.0


def test_what_was_not_released_is_deleted_when_the_pool_is_closed(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    pool.acquire(PARAMS)
    pool.acquire(PARAMS)
    pool.close()

    assert finish(settings) == (2, 2, 0)


def test_the_keeper_sees_deletions_through(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    service.delete_seconds = 0.7
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()

    assert finish(settings) == (1, 1, 0)
    assert service.live_sessions() == []


def test_the_keeper_keeps_what_is_leased_alive(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    lease = pool.acquire(replace(PARAMS, idle_release_timeout=1))

    eventually(lambda: service.count("/mcp/refreshSessionIdleTime") >= 3, "it was kept alive three times")

    assert lease.session.get_status().success


def test_a_session_whose_answer_was_lost_is_found_and_leased(
    service: StandIn, pools: Callable[[], Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after")

    lease = pools().acquire(PARAMS)

    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]
    assert service.count("/mcp/createSession") == 1


def test_a_lost_session_whose_label_shows_up_late_is_found_and_leased(
    service: StandIn, pools: Callable[[], Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after")
    service.label_lag_seconds = 1.5

    lease = pools().acquire(PARAMS)

    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]


def test_a_lost_session_that_nobody_waits_for_any_more_is_deleted(
    service: StandIn, settings: Settings, pools: Callable[[], Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after")
    service.label_lag_seconds = 2.0
    pools()  # ends the run for us
    pool = Pool(settings._replace(wait_timeout=1.0))
    with pytest.raises(AGBTimeoutError, match="no session was free within 1 s"):
        pool.acquire(PARAMS)

    eventually(lambda: service.sessions and not service.live_sessions(), "found and deleted")
    pool.close()


def test_a_create_that_takes_too_long_is_a_lost_one(
    service: StandIn, settings: Settings, pools: Callable[[], Pool]
) -> None:
    service.latency["/mcp/createSession"] = 1.5
    pools()  # ends the run for us
    pool = Pool(settings._replace(timeout_seconds=1.0))

    lease = pool.acquire(PARAMS)

    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]
    pool.close()


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


def spoil(settings: Settings, statement: str) -> None:
    with closing(sqlite3.connect(run_directory.path(settings.run_id) / "slots.sqlite3")) as database:
        database.execute(statement)
        database.commit()


def test_a_keeper_that_failed_is_replaced_and_its_log_is_shown(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    pool.acquire(PARAMS)
    place = OnePerHost(run_directory.path(settings.run_id), "keeper")
    spoil(settings, "DROP TABLE wants")
    eventually(lambda: place.running() is None, "the keeper has failed")
    pool.close()

    summary = drain(settings, lambda left: None)

    assert summary is not None
    assert (summary.created, summary.deleted) == (1, 1)
    shown = "\n".join(lines(summary, settings))
    assert "the keeper failed and was replaced" in shown
    assert "no such table: wants" in shown


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
    other = settings._replace(run_id="run-00000000", api_key="ako-other")
    die(other)

    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()
    finish(settings)

    assert [session.api_key for session in service.live_sessions()] == ["ako-other"]
    assert run_directory.path("run-00000000").exists()
    finish(other)  # its own account's next run
    assert service.live_sessions() == []


def test_threads_of_a_test_lease_at_once(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    with ThreadPoolExecutor(8) as threads:
        leases = list(threads.map(lambda _: pool.acquire(PARAMS), range(40)))
        list(threads.map(pool.release, leases))

    assert len({lease.session.session_id for lease in leases}) == 40
    eventually(lambda: not service.live_sessions(), "all are deleted")


pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


def test_a_forked_child_never_ends_its_parents_leases(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)

    def child() -> None:
        pool.release(lease)
        pool.close()

    assert in_a_fork(child) == 0
    assert len(service.live_sessions()) == 1
    assert lease.session.get_status().success


def test_a_forked_child_has_leases_of_its_own(service: StandIn, pools: Callable[[], Pool]) -> None:
    pool = pools()
    pool.acquire(PARAMS)

    def child() -> None:
        pool.release(pool.acquire(PARAMS))
        pool.close()

    assert in_a_fork(child) == 0
    assert service.count("/mcp/createSession") == 2
    eventually(lambda: len(service.live_sessions()) == 1, "the child's is deleted")


def test_what_a_dead_process_of_the_run_leased_is_deleted(
    service: StandIn, pools: Callable[[], Pool]
) -> None:
    pools().acquire(PARAMS)

    assert in_a_fork(lambda: pools().acquire(PARAMS)) == 0
    assert service.count("/mcp/createSession") == 2

    eventually(lambda: len(service.live_sessions()) == 1, "the dead one's session is deleted")


def test_the_living_keep_theirs(service: StandIn, pools: Callable[[], Pool], settings: Settings) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)

    def child() -> None:
        other = pools()
        other.release(other.acquire(PARAMS))
        other.close()

    assert in_a_fork(child) == 0

    eventually(lambda: len(service.live_sessions()) == 1, "the child's is deleted")
    assert lease.session.get_status().success


def test_reserved_labels_are_refused_before_anything_is_written(
    service: StandIn, pools: Callable[[], Pool], temp_directory: Path
) -> None:
    with pytest.raises(InvalidRequestError, match="'created_by' is reserved"):
        pools().acquire(replace(PARAMS, labels={"created_by": "me"}))

    assert len(service.requests) == 0
    assert list(temp_directory.iterdir()) == []


def test_no_file_holds_the_key(service: StandIn, pools: Callable[[], Pool], temp_directory: Path) -> None:
    pools().acquire(PARAMS)

    files = [path for path in temp_directory.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert service.api_key.encode() not in path.read_bytes(), path
    account = json.loads((run_directory.path("run-00000001") / "account.json").read_text())
    assert account["endpoint"] == service.endpoint


def test_the_directories_are_the_users_alone(pools: Callable[[], Pool], temp_directory: Path) -> None:
    pools().acquire(PARAMS)

    for path in (run_directory.base(), run_directory.path("run-00000001")):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_somebody_else_can_use_is_refused(
    pools: Callable[[], Pool], temp_directory: Path
) -> None:
    run_directory.base().mkdir()
    run_directory.base().chmod(0o777)

    with pytest.raises(AGBError, match="is not a directory that only you can use; remove it or set TMPDIR"):
        pools().acquire(PARAMS)


def test_a_wrong_key_is_asked_about_once(
    service: StandIn, settings: Settings, pools: Callable[[], Pool]
) -> None:
    pool = Pool(settings._replace(api_key="ako-wrong"))
    messages = []
    for _ in range(3):
        with pytest.raises(AGBError) as caught:
            pool.acquire(PARAMS)
        messages.append(str(caught.value))

    assert service.count("/mcp/createSession") == 1
    assert "earlier test" in messages[2]
    pool.close()
