"""Runs of the pool without pytest: what tests of it share beside the fixtures of tests/pool."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing

from pytest_agb.client import CreateSessionParams
from pytest_agb.pool.shutdown import Summary, drain
from pytest_agb.run import run_directory
from pytest_agb.run.one_per_host import OnePerHost
from pytest_agb.settings import Settings
from support.deadline import eventually

PARAMS = CreateSessionParams("agb-code-space-1", labels={"project": "demo"})


def finish(settings: Settings) -> tuple[int, int, int]:
    """End the run as pytest does; return how many sessions were created, deleted, and are left."""
    summary = drain(settings, lambda left: None) or Summary(0, 0)
    return summary.created, summary.deleted, len(summary.left)


def keepers_pid(settings: Settings) -> int:
    (name,) = [path.name for path in (run_directory.path(settings.run_id) / "members").glob("keeper-*")]
    return int(name.split("-")[1])


def kill_keeper(settings: Settings) -> None:
    os.kill(keepers_pid(settings), signal.SIGKILL)
    place = OnePerHost(run_directory.path(settings.run_id), "keeper")
    eventually(lambda: place.running() is None, "the keeper is dead")


def spoil(settings: Settings, statement: str) -> None:
    """Change the tables of a run behind its back."""
    with closing(sqlite3.connect(run_directory.path(settings.run_id) / "slots.sqlite3")) as database:
        database.execute(statement)
        database.commit()


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
