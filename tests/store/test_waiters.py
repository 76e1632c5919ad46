"""First come, first served, among all processes of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.tables import Clock, ask, ready

from pytest_agb.store.slots import SlotTable
from pytest_agb.store.waiters import Waiters


def test_first_come_first_served(slots: SlotTable, leases: Waiters) -> None:
    first, second, other = ask(leases), ask(leases), ask(leases, "another spec")
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert isinstance(other, int)
    ready(slots, "a")

    assert leases.claim(second) is None
    assert leases.claim(other) is None
    assert isinstance(ask(leases), int), "a newcomer took what others wait for"
    claimed = leases.claim(first)
    assert claimed is not None
    assert claimed.slot == "a"
    ready(slots, "b")
    claimed = leases.claim(second)
    assert claimed is not None
    assert claimed.slot == "b"


def test_a_want_that_is_withdrawn_is_in_nobodys_way(slots: SlotTable, leases: Waiters) -> None:
    first, second = ask(leases), ask(leases)
    assert isinstance(first, int)
    assert isinstance(second, int)
    ready(slots, "a")
    leases.withdraw(first)

    assert leases.claim(first) is None
    assert leases.claim(second) is not None
    assert leases.waiting() == []


def test_a_failure_is_told_to_whoever_waits_longest(slots: SlotTable, leases: Waiters) -> None:
    first, second = ask(leases), ask(leases)
    assert isinstance(first, int)
    assert isinstance(second, int)

    assert leases.fail("spec", "no")
    assert not leases.fail("another spec", "no")

    assert (leases.error(first), leases.error(second)) == ("no", None)
    ready(slots, "a")
    assert leases.claim(first) is None
    assert leases.claim(second) is not None


def test_a_session_near_its_end_is_not_leased(slots: SlotTable, leases: Waiters, clock: Clock) -> None:
    ready(slots, "a")
    clock.now += 1701

    assert isinstance(ask(leases), int)


def test_eight_processes_lease_at_once(path: Path, slots: SlotTable) -> None:
    """No session is leased twice, and none is left out."""
    for number in range(200):
        ready(slots, f"{number}")
    code = """
import sys, time
from pathlib import Path
from pytest_agb.store.database import Database
from pytest_agb.store.waiters import Waiters
database = Database(Path(sys.argv[1]))
leases = Waiters(database, usable_seconds=1e12, clock=time.time)
for _ in range(25):
    print(leases.ask("spec", member=sys.argv[2], user="").slot)
database.close()
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(8)
    ]
    leased = [process.communicate(timeout=60)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0] * 8
    assert [len(part) for part in leased] == [25] * 8
    assert len({slot for part in leased for slot in part}) == 200
