"""The pool without pytest: what is acquired through it is deleted, whoever dies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from standin import StandIn

from pytest_agb import rundir
from pytest_agb.client import AGBError, AGBTimeoutError, CreateSessionParams, InvalidRequestError
from pytest_agb.pool import Pool, tidy_up
from pytest_agb.pool.pool import LostCreateWarning
from pytest_agb.settings import Settings

PARAMS = CreateSessionParams("agb-code-space-1", labels={"project": "demo"})


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def settings(service: StandIn, temp_directory: Path) -> Settings:
    return Settings(
        backend="cloud",
        run_id="run-00000001",
        images=("agb-code-space-1",),
        labels={},
        scope="function",
        idle_timeout=300,
        local_isolation="auto",
        endpoint=service.endpoint,
        timeout_seconds=10.0,
        api_key=service.api_key,
    )


@pytest.fixture
def pools(settings: Settings) -> Iterator[Callable[..., Pool]]:
    opened: list[Pool] = []

    def make(**options: float) -> Pool:
        opened.append(Pool(settings, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()


def test_acquire_release_close(service: StandIn, pools: Callable[..., Pool], settings: Settings) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)
    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]

    pool.release(lease)

    assert service.live_sessions() == []
    assert pool.close() == []
    tidy_up(settings.run_id)
    assert not rundir.path(settings.run_id).exists()


def test_close_deletes_what_was_not_released(service: StandIn, pools: Callable[..., Pool]) -> None:
    pool = pools()
    pool.acquire(PARAMS)
    pool.acquire(PARAMS)

    assert pool.close() == []
    assert service.live_sessions() == []


def test_close_waits_for_the_service_to_finish(service: StandIn, pools: Callable[..., Pool]) -> None:
    service.delete_seconds = 0.7
    service.lists_deleting = True
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    assert service.live_sessions() != []

    assert pool.close() == []
    assert service.live_sessions() == []


def test_what_does_not_end_in_time_is_named(service: StandIn, pools: Callable[..., Pool]) -> None:
    service.delete_seconds = 3600
    service.lists_deleting = True
    pool = pools(drain_seconds=0.0)
    lease = pool.acquire(PARAMS)
    pool.release(lease)

    (problem,) = pool.close()

    assert lease.session.session_id in problem
    assert "releases it after 300 s" in problem


def test_the_slot_is_written_before_the_create_goes_out(
    service: StandIn, pools: Callable[..., Pool], settings: Settings
) -> None:
    service.fault("/mcp/createSession", "drop_after")
    pool = pools()
    with pytest.raises(AGBError):
        pool.acquire(PARAMS)
    (session,) = service.live_sessions()
    (slot,) = pool._process().slots.left()
    assert session.labels["agb_slot"] == slot.slot

    assert pool.close() == []
    assert service.live_sessions() == []
    assert service.count("/mcp/createSession") == 1


def test_a_lost_session_whose_labels_show_up_late_is_found(
    service: StandIn, pools: Callable[..., Pool]
) -> None:
    service.fault("/mcp/createSession", "drop_after")
    service.label_lag_seconds = 1.0
    pool = pools()
    with pytest.raises(AGBError):
        pool.acquire(PARAMS)

    assert pool.close() == []
    assert service.live_sessions() == []


def test_a_create_that_nothing_is_found_of_is_said(service: StandIn, pools: Callable[..., Pool]) -> None:
    service.fault("/mcp/createSession", "drop_before")
    pool = pools(lost_seconds=0.0)
    with pytest.raises(AGBError):
        pool.acquire(PARAMS)

    with pytest.warns(LostCreateWarning, match="1 creates had no answer"):
        assert pool.close() == []


def test_a_create_that_takes_too_long_is_a_lost_one(
    service: StandIn, settings: Settings, pools: Callable[..., Pool]
) -> None:
    service.latency["/mcp/createSession"] = 1.5
    pool = Pool(replace(settings, timeout_seconds=1.0))
    with pytest.raises(AGBTimeoutError):
        pool.acquire(PARAMS)

    assert pool.close() == []
    assert service.live_sessions() == []


def test_threads_of_a_test_lease_at_once(service: StandIn, pools: Callable[..., Pool]) -> None:
    pool = pools()
    with ThreadPoolExecutor(8) as threads:
        leases = list(threads.map(lambda _: pool.acquire(PARAMS), range(40)))
        list(threads.map(pool.release, leases))

    assert len({lease.session.session_id for lease in leases}) == 40
    assert service.live_sessions() == []


def in_a_fork(action: Callable[[], object]) -> int:
    """Run ``action`` in a forked child that ends without any clean-up; return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


def test_a_forked_child_never_ends_its_parents_leases(service: StandIn, pools: Callable[..., Pool]) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)

    def child() -> None:
        pool.release(lease)
        assert pool.close() == []

    assert in_a_fork(child) == 0
    assert len(service.live_sessions()) == 1
    assert lease.session.get_status().success


def test_a_forked_child_has_leases_of_its_own(service: StandIn, pools: Callable[..., Pool]) -> None:
    pool = pools()
    pool.acquire(PARAMS)

    def child() -> None:
        pool.release(pool.acquire(PARAMS))
        pool.close()

    assert in_a_fork(child) == 0
    assert service.count("/mcp/createSession") == 2
    assert len(service.live_sessions()) == 1


def test_what_a_dead_process_of_the_run_leased_is_deleted_by_another(
    service: StandIn, pools: Callable[..., Pool]
) -> None:
    survivor = pools()
    survivor.acquire(PARAMS)

    assert in_a_fork(lambda: pools().acquire(PARAMS)) == 0
    assert len(service.live_sessions()) == 2

    assert survivor.close() == []
    assert service.live_sessions() == []


def test_the_living_keep_theirs(service: StandIn, pools: Callable[..., Pool], settings: Settings) -> None:
    pool = pools()
    lease = pool.acquire(PARAMS)

    def child() -> None:
        other = pools()
        other.release(other.acquire(PARAMS))
        assert other.close() == []

    assert in_a_fork(child) == 0

    assert [session.session_id for session in service.live_sessions()] == [lease.session.session_id]


def test_reserved_labels_are_refused_before_anything_is_written(
    service: StandIn, pools: Callable[..., Pool], temp_directory: Path
) -> None:
    with pytest.raises(InvalidRequestError, match="'created_by' is reserved"):
        pools().acquire(replace(PARAMS, labels={"created_by": "me"}))

    assert len(service.requests) == 0
    assert list(temp_directory.iterdir()) == []


def test_no_file_holds_the_key(service: StandIn, pools: Callable[..., Pool], temp_directory: Path) -> None:
    pools().acquire(PARAMS)

    files = [path for path in temp_directory.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert service.api_key.encode() not in path.read_bytes(), path
    account = json.loads((rundir.path("run-00000001") / "account.json").read_text())
    assert account["endpoint"] == service.endpoint


def test_the_directories_are_the_users_alone(pools: Callable[..., Pool], temp_directory: Path) -> None:
    pools().acquire(PARAMS)

    for path in (rundir.base(), rundir.path("run-00000001")):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_somebody_else_can_use_is_refused(
    pools: Callable[..., Pool], temp_directory: Path
) -> None:
    rundir.base().mkdir()
    rundir.base().chmod(0o777)

    with pytest.raises(AGBError, match="is not a directory that only you can use; remove it or set TMPDIR"):
        pools().acquire(PARAMS)


def test_a_wrong_key_is_asked_about_once(
    service: StandIn, settings: Settings, pools: Callable[..., Pool]
) -> None:
    pool = Pool(replace(settings, api_key="ako-wrong"))
    messages = []
    for _ in range(3):
        with pytest.raises(AGBError) as caught:
            pool.acquire(PARAMS)
        messages.append(str(caught.value))

    assert service.count("/mcp/createSession") == 1
    assert "earlier test" in messages[2]
    pool.close()
