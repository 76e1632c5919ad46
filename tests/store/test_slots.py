"""The slots: written before the create, moved only along the picture, shared by all processes of a run."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_agb.store.database import Database, lay_schema
from pytest_agb.store.facts import Facts
from pytest_agb.store.slots import Count, IllegalTransitionError, Slot, SlotState, SlotTable
from pytest_agb.store.upcoming import Upcoming
from pytest_agb.store.waiters import Waiters


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "slots.sqlite3"
    lay_schema(path)
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    yield database
    database.close()


@pytest.fixture
def slots(database: Database, clock: Clock) -> SlotTable:
    return SlotTable(database, clock=clock)


@pytest.fixture
def leases(database: Database, clock: Clock) -> Waiters:
    return Waiters(database, usable_seconds=1700.0, clock=clock)


@pytest.fixture
def units(database: Database) -> Upcoming:
    return Upcoming(database)


def begin(slots: SlotTable, slot: str, spec: str = "spec") -> None:
    slots.begin(
        slot, spec=spec, member="keeper", idle_timeout=120, created_at=slots._clock(), expires_at=4000
    )


def ready(slots: SlotTable, slot: str, spec: str = "spec") -> None:
    begin(slots, slot, spec)
    slots.ready(slot, f"session-{slot}")


def states(slots: SlotTable) -> list[tuple[str, SlotState]]:
    return [(slot.slot, slot.state) for slot in slots.left()]


def ask(leases: Waiters, spec: str = "spec", member: str = "m", unit: str = "") -> Slot | int:
    return leases.ask(spec, member=member, user="test_it", unit=unit)


def test_a_life(slots: SlotTable, leases: Waiters, clock: Clock) -> None:
    begin(slots, "a")
    assert states(slots) == [("a", SlotState.CREATING)]
    slots.ready("a", "session-1", "request-1")
    assert states(slots) == [("a", SlotState.IDLE)]
    leased = ask(leases)
    assert isinstance(leased, Slot)
    assert (leased.session_id, leased.request_id, leased.member) == ("session-1", "request-1", "m")
    clock.now += 5
    slots.deleting("a")
    ((held, accepted),) = [(slot.held, slot.accepted) for slot in slots.left()]
    assert (held, accepted) == (5, 0)
    slots.accepted("a")
    assert [slot.accepted for slot in slots.left()] == [1]
    slots.gone("a")
    assert slots.left() == []


def test_a_reused_life(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    for uses in (1, 2, 3):
        leased = ask(leases)
        assert isinstance(leased, Slot)
        assert leased.uses == uses
        slots.returned("a")
    assert slots.leases() == 3


def test_a_lost_session_is_there_once_it_is_found(slots: SlotTable) -> None:
    begin(slots, "a")
    slots.lost("a", "no answer")
    slots.ready("a", "session-1")

    assert [(slot.state, slot.session_id) for slot in slots.left()] == [(SlotState.IDLE, "session-1")]


def test_no_way_back(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    with pytest.raises(IllegalTransitionError, match="slot a can't become deleting"):
        slots.deleting("a")
    ask(leases)
    with pytest.raises(IllegalTransitionError, match="slot a can't become idle"):
        slots.ready("a", "session-2")
    slots.gone("a")
    with pytest.raises(IllegalTransitionError, match="slot a can't become deleting"):
        slots.deleting("a")
    with pytest.raises(IllegalTransitionError, match="slot b can't become gone"):
        slots.gone("b")


def test_no_two_slots_hold_one_session(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    begin(slots, "b")
    for move in (
        lambda: ask(leases),
        lambda: slots.keep("a", "test_it"),
        lambda: slots.give_up_kept("no room"),
        lambda: slots.accepted("a"),
    ):
        with pytest.raises(IllegalTransitionError, match="slot b can't have session session-a"):
            slots.ready("b", "session-a")
        assert slots.held() == {"session-a"}
        move()
    slots.gone("a")
    assert (slots.held(), slots.had("session-a")) == (set(), True)

    slots.ready("b", "session-a")

    assert states(slots) == [("b", SlotState.IDLE)]


def test_an_idle_session_is_given_up_and_a_leased_one_is_not(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    ask(leases)
    ready(slots, "b")

    assert not slots.give_up("a", "nobody needs it")
    assert slots.give_up("b", "nobody needs it")


def test_a_kept_session_is_nobodys_until_it_is_given_up(
    slots: SlotTable, leases: Waiters, clock: Clock
) -> None:
    ready(slots, "a")
    ready(slots, "b")
    ask(leases, member="one")
    ask(leases, member="one")
    slots.keep("b", "test_b")
    clock.now += 1
    slots.keep("a", "test_a")
    slots.leave("one")

    assert slots.left() == []
    assert {slot.slot: (slot.user, slot.member) for slot in slots.kept()} == {
        "a": ("test_a", ""),
        "b": ("test_b", ""),
    }
    assert isinstance(ask(leases), int), "it is leased again"
    assert slots.count() == Count(created=2, deleted=0)

    assert slots.give_up_kept("no room")
    assert states(slots) == [("b", SlotState.DELETING)]
    assert slots.give_up_kept("no room")
    assert not slots.give_up_kept("no room")


def test_a_slot_is_written_once(slots: SlotTable) -> None:
    begin(slots, "a")
    with pytest.raises(sqlite3.IntegrityError):
        begin(slots, "a")


def test_whoever_leaves_leaves_nothing_leased(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    ready(slots, "b")
    ask(leases, member="one")
    ask(leases, member="two")

    slots.leave("one")

    assert states(slots) == [("a", SlotState.DELETING), ("b", SlotState.LEASED)]


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


def test_units_to_come_in_their_order(units: Upcoming) -> None:
    units.expect("x", [("a", 0), ("c", 2), ("e", 4)])
    units.expect("y", [("b", 1), ("d", 3)])
    assert units.specs(9) == ["x", "y", "x", "y", "x"]
    assert units.specs(2) == ["x", "y"]

    units.soon("d")
    assert units.specs(9) == ["y", "x", "y", "x", "x"]
    units.done("a")
    units.done("never heard of")
    assert units.specs(9) == ["y", "y", "x", "x"]


def test_several_workers_expect_the_same_units(units: Upcoming, leases: Waiters) -> None:
    ask(leases, unit="a")
    units.expect("x", [("a", 0), ("b", 1)])
    units.expect("x", [("a", 0), ("b", 1)])

    assert units.specs(9) == ["x"]


def test_refusals_are_remembered_by_subject(path: Path, database: Database) -> None:
    Facts(database).remember_refusal("image:x", "no such image")
    other = Database(path)

    assert Facts(other).refusal("account", "image:x") == "no such image"
    assert Facts(other).refusal("account", "image:y") is None
    other.close()


def test_eight_processes_lease_at_once(path: Path, slots: SlotTable) -> None:
    """No session is leased twice, and none is left out."""
    for number in range(200):
        ready(slots, f"{number}")
    code = """
import sys
from pathlib import Path
from pytest_agb.store.database import Database
from pytest_agb.store.waiters import Waiters
database = Database(Path(sys.argv[1]))
leases = Waiters(database, usable_seconds=1e12)
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
