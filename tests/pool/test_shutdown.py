"""The end of a run: what is left is deleted, and what became of it is said."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, finish, kill_keeper, spoil
from support.standin import StandIn

from pytest_agb.plugin.report.summary import lines
from pytest_agb.pool import shutdown
from pytest_agb.pool.pool import Pool
from pytest_agb.pool.shutdown import DRAIN_SECONDS, drain
from pytest_agb.run import run_directory
from pytest_agb.run.one_per_host import OnePerHost
from pytest_agb.settings import Settings
from pytest_agb.store.slots import Trouble


def test_draining_a_run_whose_keeper_just_left_leaves_nothing_behind(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "exists", lambda *run: True)  # it was, a moment ago

    assert drain(settings, lambda left: None) is None
    assert not run_directory.path(settings.run_id).exists()


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


def test_a_keeper_that_failed_is_replaced_and_its_log_is_shown(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    place = OnePerHost(run_directory.path(settings.run_id), "keeper")
    refuse = "WHEN new.accepted = 1 BEGIN SELECT RAISE(ABORT, 'no more'); END"
    spoil(settings, f"CREATE TRIGGER broken BEFORE UPDATE ON slots {refuse}")
    pool.release(lease)
    eventually(lambda: place.running() is None, "the keeper has failed")
    spoil(settings, "DROP TRIGGER broken")
    pool.close()

    summary = drain(settings, lambda left: None)

    assert summary is not None
    assert (summary.created, summary.deleted) == (1, 1)
    shown = "\n".join(lines(summary, settings))
    assert "the keeper failed and was replaced" in shown
    assert "no more" in shown


def test_a_keeper_that_dies_again_and_again_is_told_and_not_waited_for(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    pool.acquire(PARAMS)
    refuse = "WHEN new.accepted = 1 BEGIN SELECT RAISE(ABORT, 'no more'); END"
    spoil(settings, f"CREATE TRIGGER broken BEFORE UPDATE ON slots {refuse}")
    pool.close()
    began = time.monotonic()

    summary = drain(settings, lambda left: None)

    assert time.monotonic() - began < DRAIN_SECONDS / 2
    assert summary is not None
    shown = "\n".join(lines(summary, settings))
    assert "did not wait for the rest (the keeper is not started again); nothing deletes it" in shown
    assert "agb: the keeper died too often and was not started again; its log ends with:" in shown
    assert "no more" in shown
    assert "agb: to delete what is left: pytest-agb sweep --run run-00000001" in shown
    assert shown.count("Traceback") <= 4
    spoil(settings, "DROP TRIGGER broken")
    (run_directory.path(settings.run_id) / "keeper.restarts").unlink()  # so that the next one can clean up


def test_a_session_that_takes_long_to_go_is_called_released_and_not_waited_for(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    service.delete_seconds, service.lists_deleting = 4.0, True
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()
    began = time.monotonic()

    summary = drain(settings._replace(end_timeout=0.5), lambda left: None)

    assert time.monotonic() - began < 3.0
    assert summary is not None
    assert lines(summary, settings) == ["agb: 1 session created, 0 deleted, 1 released, 0 kept, 0 left"]


def test_a_release_that_is_not_answered_is_waited_for_until_nothing_changes_any_more(
    service: StandIn, pools: Callable[[], Pool], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "PATIENCE_SECONDS", 0.5)
    service.latency["/mcp/releaseSessionAsync"] = 5.0
    pool = pools()
    lease = pool.acquire(PARAMS)
    pool.release(lease)
    pool.close()

    summary = drain(settings, lambda left: None)

    assert summary is not None
    first, name, sweep = lines(summary, settings)
    assert first == (
        "agb: 1 session created, 0 deleted, 0 kept, 1 left, "
        "did not wait for the rest (nothing has changed for 0.5 s); it is deleted in the background"
    )
    assert name == f"agb: session {lease.session.session_id} is left: deleting"
    assert sweep.startswith("agb: to delete what is left: pytest-agb sweep --run run-00000001")
    service.latency.clear()


def test_a_create_without_an_answer_is_told_apart_from_what_is_left(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()
    eventually(lambda: not service.live_sessions(), "it is deleted")
    service.fault("/sdk/ListSession", "503", times=1000)  # else it would say that there is none
    spoil(
        settings,
        "INSERT INTO slots (slot, state, spec, member, idle_timeout, created_at, expires_at, note) "
        "VALUES ('0123', 'lost', '', '', 120, 0, 9e9, 'its create has no good answer: no connection')",
    )

    summary = drain(settings, lambda left: None)

    assert summary is not None
    first, name, sweep = lines(summary, settings)
    assert first.startswith("agb: 1 session created, 1 deleted, 1 unanswered, 0 kept, 0 left, the service ")
    assert name == "agb: a session of slot 0123 may be there: its create has no good answer: no connection"
    assert sweep.startswith("agb: to delete what may be there: pytest-agb sweep --run run-00000001")
    spoil(settings, "UPDATE slots SET state = 'gone'")


def test_what_nothing_more_is_tried_for_is_not_waited_for(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    """A session past its maximum lifetime, whose deletion the service has refused to the end."""
    service.fault("/mcp/releaseSessionAsync", "503", times=1000)
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()
    spoil(settings, "UPDATE slots SET expires_at = 1")
    began = time.monotonic()

    summary = drain(settings, lambda left: None)

    assert time.monotonic() - began < DRAIN_SECONDS / 2
    assert summary is not None
    assert [slot.trouble for slot in summary.left] == [Trouble.GIVEN_UP]
    assert "is left: given up: it is past its maximum lifetime" in "\n".join(lines(summary, settings))
    spoil(settings, "UPDATE slots SET state = 'gone'")


def test_a_state_that_can_not_be_read_is_told(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    pool.close()
    state = run_directory.path(settings.run_id) / "slots.sqlite3"
    eventually(lambda: not service.live_sessions(), "it is deleted")
    kill_keeper(settings)
    for path in (state, state.with_name("slots.sqlite3-wal")):
        path.unlink(missing_ok=True)
    state.write_bytes(b"no database at all" * 1000)

    summary = drain(settings, lambda left: None)

    assert summary is not None
    assert lines(summary, settings) == [
        "agb: what became of the run's sessions is not known here: "
        f"the run's state in {state} can't be used: file is not a database. "
        "It is damaged: delete what is left by pytest-agb sweep --run run-00000001",
        "agb: the service lists none of them any more",
    ]
    shutil.rmtree(run_directory.path(settings.run_id))
