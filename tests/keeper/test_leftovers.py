"""An earlier run's trouble is no error of a later run, and delays none of its tests."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.deadline import eventually
from support.standin import StandIn

from pytest_agb.client import CreateSessionParams
from pytest_agb.keeper import leftovers
from pytest_agb.plugin.report.summary import lines
from pytest_agb.pool.pool import Pool
from pytest_agb.pool.shutdown import drain
from pytest_agb.removal import Left
from pytest_agb.run import aside, run_directory
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings
from pytest_agb.store.database import lay_schema
from pytest_agb.store.state import database_path

PARAMS = CreateSessionParams("agb-code-space-1")


@pytest.fixture
def settings(temp_directory: Path) -> Iterator[Settings]:
    with StandIn() as service:
        settings = Settings(
            backend="cloud",
            run_id="run-00000001",
            images=("agb-code-space-1",),
            labels={},
            scope="function",
            idle_timeout=300,
            local_isolation="auto",
            endpoint=service.endpoint,
            timeout_seconds=10.0,
            api_key=Secret(service.api_key),
        )
        run_directory.make_base()
        yield settings
        eventually(lambda: not run_directory.path(settings.run_id).exists(), "the keeper has left")


def use_a_session(settings: Settings) -> list[str]:
    """Run as a test does; return what the end of the run says."""
    pool = Pool(settings)
    pool.release(pool.acquire(PARAMS))
    pool.close()
    summary = drain(settings, lambda left: None)
    assert summary is not None
    assert (summary.created, summary.left) == (summary.deleted, ())
    return lines(summary, settings)


def dead_run(name: str = "run-00000000") -> Path:
    run = run_directory.path(name)
    (run / "members").mkdir(parents=True)
    return run


def with_a_session(run: Path) -> None:
    """Write what a run writes before its create is sent."""
    lay_schema(database_path(run))
    with closing(sqlite3.connect(database_path(run))) as database:
        database.execute(
            "INSERT INTO slots (slot, state, spec, member, idle_timeout, created_at, expires_at) "
            "VALUES ('s', 'creating', '{}', 'm', 300, ?, ?)",
            (time.time(), int(time.time()) + 600),
        )
        database.commit()


def test_garbage_in_the_users_directory_is_no_error(settings: Settings) -> None:
    base = run_directory.base()
    (base / "file").write_text("garbage")
    (base / "link").symlink_to(base)
    (base / "dangling").symlink_to("nowhere")
    os.mkfifo(base / "fifo")
    (base / os.fsdecode(b"\xff")).mkdir()
    members_is_a_file = run_directory.path("members-file")
    members_is_a_file.mkdir()
    (members_is_a_file / "members").write_text("")
    os.mkfifo(dead_run("member-is-a-pipe") / "members" / "pytest-1")
    (dead_run("member-is-a-directory") / "members" / "pytest-1").mkdir()
    database_path(dead_run("no-database")).write_bytes(b"garbage" * 1000)
    database_path(dead_run("database-is-a-directory")).mkdir()
    for number, text in enumerate(["{", "[]", "{}", "\xff", json.dumps({"host": os.uname().nodename})]):
        run = dead_run(f"account-{number}")
        with_a_session(run)
        (run / "account.json").write_text(text, encoding="latin-1")

    said = use_a_session(settings)
    leftovers.sweep(settings)

    assert said == ["agb: 1 session created, 1 deleted, 0 kept, 0 left"]
    assert aside.take_notes() == []


def test_a_keeper_that_cannot_be_started_is_told_once(settings: Settings) -> None:
    use_a_session(settings)
    run = dead_run()
    with_a_session(run)
    account = {"host": os.uname().nodename, "endpoint": settings.endpoint, "salt": "00"}
    from pytest_agb.run.account import _fingerprint

    account["key_fingerprint"] = _fingerprint(settings, "00")
    (run / "account.json").write_text(json.dumps(account))
    (run / "keeper.log").mkdir()  # nothing can be started with this as its log

    for _ in range(2):
        leftovers.sweep(settings)

    (note,) = aside.take_notes()
    assert note.startswith(f"{run}, which an earlier run left, is left alone: ")
    leftovers.sweep(settings)
    assert aside.take_notes() == []


def test_a_look_at_an_earlier_run_that_takes_long_delays_nobody(settings: Settings) -> None:
    run = dead_run()
    with closing(sqlite3.connect(database_path(run), isolation_level=None)) as database:
        database.execute("CREATE TABLE slots (x)")
        database.execute("BEGIN EXCLUSIVE")  # for as long as a look waits for it, which is 30 s
        began = time.monotonic()

        use_a_session(settings)

        assert time.monotonic() - began < 15


def test_what_cannot_be_removed_is_told_by_one_run_and_looked_at_by_none(settings: Settings) -> None:
    run = dead_run()
    aside.set_aside(run, Left("home/ro/f", "Operation not permitted"))
    (moved,) = run_directory.base().glob("set-aside_*")

    first, second = use_a_session(settings), use_a_session(settings._replace(run_id="run-00000002"))

    assert first[1:] == [
        f"agb: {moved} could not be removed and was set aside (home/ro/f: Operation not permitted); "
        "delete it by hand"
    ]
    assert second[1:] == []
    assert moved.is_dir()
    assert not run.exists()
    eventually(lambda: not run_directory.path("run-00000002").exists(), "the keeper has left")


def test_a_removal_that_was_cut_off_is_finished(settings: Settings) -> None:
    left = run_directory.retire(dead_run())
    (left / "sandboxes" / "session-1" / "ro").mkdir(parents=True)
    (left / "sandboxes" / "session-1" / "ro").chmod(0o555)

    use_a_session(settings)

    eventually(lambda: not left.exists(), "it is removed")
    assert aside.take_notes() == []


def test_no_process_is_started_for_runs_that_live(settings: Settings) -> None:
    other = settings._replace(run_id="run-00000002")
    pool = Pool(other)
    pool.acquire(PARAMS)

    use_a_session(settings)

    assert not (run_directory.base() / "sweep.log").exists()
    pool.close()
    drain(other, lambda left: None)
    eventually(lambda: not run_directory.path(other.run_id).exists(), "the other keeper has left")
