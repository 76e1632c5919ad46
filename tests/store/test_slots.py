"""The slots: written before the create, and moved only along the picture."""

from __future__ import annotations

import sqlite3

import pytest
from support.tables import Clock, ask, begin, ready, states

from pytest_agb.store.slots import Count, IllegalTransitionError, Slot, SlotState, SlotTable
from pytest_agb.store.waiters import Waiters


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


def test_a_dead_one_is_leased_to_nobody_again(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    slots.died("a", "nobody leases it: the keeper gives it up")
    assert slots.why_dead("a") == ""

    assert isinstance(ask(leases), Slot)
    slots.died("a", "it is gone")
    slots.died("a", "the first reason stands")
    assert slots.why_dead("a") == "it is gone"

    slots.returned("a")
    assert states(slots) == [("a", SlotState.DELETING)]
    assert slots.why_dead("a") == ""
    with pytest.raises(IllegalTransitionError, match="slot a can't become idle"):
        slots.returned("a")


def test_a_lost_session_is_there_once_it_is_found(slots: SlotTable) -> None:
    begin(slots, "a")
    slots.lost("a", "no answer")
    slots.ready("a", "session-1")

    assert [(slot.state, slot.session_id) for slot in slots.left()] == [(SlotState.IDLE, "session-1")]


def test_a_lease_that_was_reclaimed_does_not_end_a_second_time(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    ask(leases)
    slots.reclaim("a")
    assert states(slots) == [("a", SlotState.DELETING)]
    with pytest.raises(IllegalTransitionError, match="slot a can't become deleting"):
        slots.deleting("a")


def test_what_has_ended_is_not_reclaimed(slots: SlotTable, leases: Waiters) -> None:
    ready(slots, "a")
    ask(leases)
    slots.returned("a")
    slots.reclaim("a")
    assert states(slots) == [("a", SlotState.IDLE)]


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
