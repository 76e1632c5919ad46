"""A process and its run: forks, deaths, and the directory that they share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, in_a_fork
from support.standin import StandIn

from pytest_agb.client import AGBError
from pytest_agb.pool.pool import Pool
from pytest_agb.run import run_directory
from pytest_agb.settings import Settings
from pytest_agb.store.database import StateError

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


def test_no_file_holds_the_key(service: StandIn, pools: Callable[[], Pool], temp_directory: Path) -> None:
    pools().acquire(PARAMS)

    # A member's file is empty, and nobody may read it.
    files = [path for path in temp_directory.rglob("*") if path.is_file() and path.stat().st_size]
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


def test_a_directory_that_can_not_be_made_is_an_error_that_names_it(
    pools: Callable[[], Pool], temp_directory: Path
) -> None:
    run_directory.base().write_text("a file")

    with pytest.raises(AGBError, match=f"the run has no directory on this host: .*{run_directory.base()}"):
        pools().acquire(PARAMS)
    run_directory.base().unlink()


def test_a_process_that_could_not_join_is_no_member(
    pools: Callable[[], Pool], settings: Settings, temp_directory: Path
) -> None:
    run = run_directory.path(settings.run_id)
    run_directory.make_base()
    run.mkdir()
    (run / "slots.sqlite3").write_bytes(b"no database at all" * 1000)

    for _ in range(2):
        with pytest.raises(StateError, match="file is not a database"):
            pools().acquire(PARAMS)
    assert list((run / "members").iterdir()) == []
    shutil.rmtree(run)


def test_a_keeper_that_finds_no_place_for_its_log_is_an_error(
    pools: Callable[[], Pool], settings: Settings
) -> None:
    run = run_directory.path(settings.run_id)
    run_directory.make_base()
    (run / "keeper.log").mkdir(parents=True)

    with pytest.raises(AGBError, match=r"no session is created without a keeper to delete it: .*keeper\.log"):
        pools().acquire(PARAMS)
    (run / "keeper.log").rmdir()

    pools().acquire(PARAMS)
