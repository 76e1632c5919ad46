"""The tables keep by themselves how long sessions were used and waited for."""

from __future__ import annotations

import pytest

from pytest_agb.store import history
from pytest_agb.store.database import Database
from pytest_agb.store.history import Cost
from pytest_agb.store.slots import SlotTable
from pytest_agb.store.waiters import Waiters


def at(database: Database, times: list[float]) -> Cost:
    """The cost, had what happened so far happened at these times."""
    rows = [row for (row,) in database.fetch("SELECT rowid FROM history ORDER BY rowid")]
    for row, time in zip(rows, times, strict=True):
        database.write("UPDATE history SET at = ? WHERE rowid = ?", (time, row))
    return history.read(database)


def create(slots: SlotTable, slot: str) -> None:
    slots.begin(slot, spec="s", member="m", idle_timeout=60, created_at=0, expires_at=2_000_000_000)
    slots.ready(slot, f"session-{slot}")


@pytest.fixture
def waiters(database: Database) -> Waiters:
    return Waiters(database, usable_seconds=3e9, clock=lambda: 0.0)


def test_used_is_what_tests_had_and_idle_is_the_rest(
    database: Database, slots: SlotTable, waiters: Waiters
) -> None:
    create(slots, "a")  # ready at 10
    waiters.ask("s", member="m", user="test_1")  # 20, within one transaction
    slots.returned("a")  # 50
    waiters.ask("s", member="m", user="test_2")  # 51
    slots.deleting("a")  # 55
    slots.gone("a")  # 57

    cost = at(database, [10, 20, 20, 20, 50, 51, 51, 51, 55, 57])

    assert (cost.used, cost.idle, cost.most) == (34, 13, 1)
    assert cost.tests == (("test_1", 30), ("test_2", 4))
    assert cost.waits == (("test_1", 0), ("test_2", 0))


def test_who_waits_longest_comes_first_and_most_counts_what_is_there_at_once(
    database: Database, slots: SlotTable, waiters: Waiters
) -> None:
    first = waiters.ask("s", member="m", user="test_1")  # 0
    second = waiters.ask("s", member="m", user="test_2")  # 1
    create(slots, "a")  # 5
    assert isinstance(first, int)
    waiters.claim(first)  # 6
    create(slots, "b")  # 9
    assert isinstance(second, int)
    waiters.withdraw(second)  # 11
    slots.give_up("b", "")  # 12
    slots.gone("b")  # 13
    slots.keep("a", "test_1")  # 15

    cost = at(database, [0, 1, 5, 6, 6, 9, 11, 12, 13, 15])

    assert cost.waits == (("test_2", 10), ("test_1", 6))
    assert cost.most == 2
    assert (cost.used, cost.idle) == (9, 5)
    assert cost.tests == (("test_1", 9),)


def test_a_create_that_made_no_session_costs_nothing(database: Database, slots: SlotTable) -> None:
    slots.begin("a", spec="s", member="m", idle_timeout=60, created_at=0, expires_at=2_000_000_000)
    slots.gone("a")

    assert history.read(database) == Cost(0, 0, 0, (), ())
