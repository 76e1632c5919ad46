"""A crash after each write and after each request of a run, one after the other: nothing is left of any."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

import pytest
from soak.simulation import Run, Worker
from soak.sometimes import Seen

from pytest_agb.store.database import Database

#: Rounds of the run, of a quarter of a second each, and then of two: a lost create takes a place for so long.
ROUNDS = 60
LEASES = 3


class CrashError(BaseException):
    """The process ends here."""


class Crashes:
    """Counts the writes and requests of a run, and ends the process that makes a certain one."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._number = 0
        #: What the crash came after; empty where there was none.
        self.after = ""

    def watch(self, database: Database) -> None:
        transaction = database.transaction

        @contextmanager
        def counted() -> Iterator[Connection]:
            with transaction() as connection:
                before = connection.total_changes
                yield connection
                changed = connection.total_changes != before
            if changed:
                self.point("a write")

        database.transaction = counted  # type: ignore[method-assign]

    def point(self, what: str) -> None:
        self._number += 1
        if self._number == self._at:
            self.after = what
            raise CrashError


class CrashingRun(Run):
    """A run whose processes may end so."""

    reaches = True

    def _keeper_steps(self) -> None:
        try:
            super()._keeper_steps()
        except CrashError:
            self._keeper_dies(lambda: self.reaches)

    def _leave(self, worker: Worker) -> None:
        try:
            super()._leave(worker)
        except CrashError:
            worker.alive = False


def play(directory: Path, at: int, *, reaches: bool) -> Crashes:
    """Play a run in which the process dies that makes the write or request number ``at``.

    ``reaches``: what a keeper that dies has sent reaches the service.
    """
    run = CrashingRun(f"crash-{at}-{reaches}", directory, Seen(), ())
    crashes = Crashes(at)
    run._settings = run._settings._replace(
        workers=2,
        max_sessions=2,
        reuse="never",
        keep_failed=False,
        level=None,
        max_idle=60,
        max_lifetime=1800,
    )
    run._workers = [run._new_worker() for _ in range(2)]
    run.tests.clear()
    run._service.works()
    run._service.label_lag, run._service.readable_lag, run._service.unfiltered = 2.0, 0.0, 1.0
    run.on_sent = lambda: crashes.point("a request")
    run.reaches = reaches
    run.on_keeper = lambda keeper: crashes.watch(keeper._state.database)
    crashes.watch(run._state.database)
    leases = 0
    try:
        for number in itertools.count():
            if number >= ROUNDS and leases >= LEASES:
                break
            assert number < 3 * ROUNDS, "those who wait get no session"
            for worker in list(run._workers):
                try:
                    leases += _work(run, worker, more=leases < LEASES)
                except CrashError:
                    worker.alive = False
                    run._workers[run._workers.index(worker)] = run._new_worker()
            run._service.now += 0.25 if number < ROUNDS else 2.0
            for calls in run._executors:
                calls.advance(run._chance, 1.0)
            run._keeper_steps()
            run._check()
        run._nobody_waits_forever()
        run.end()
    finally:
        run.close()
    return crashes


def _work(run: Run, worker: Worker, *, more: bool) -> bool:
    """Have a worker go on; say whether it gave a lease back."""
    if worker.want is not None:
        run._poll(worker, patient=True)
    elif worker.lease is not None:
        run._give_back(worker)
        return True
    elif more:
        run._ask(worker)
    return False


@pytest.mark.parametrize("reaches", [True, False], ids=["what was sent arrives", "what was sent is lost"])
def test_a_crash_after_each_write_and_each_request_leaves_nothing(tmp_path: Path, reaches: bool) -> None:
    after = []
    for at in itertools.count(1):
        crashes = play(tmp_path, at, reaches=reaches)
        if not crashes.after:
            break
        after.append(crashes.after)

    assert after.count("a write") > 15
    assert after.count("a request") > 10
