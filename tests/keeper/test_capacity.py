"""What refused creates teach about the room that the account has."""

from __future__ import annotations

import math
from collections.abc import Callable

from support.keeper_bench import SPEC, Bench

from pytest_agb.client import QuotaError, ThrottledError
from pytest_agb.keeper.capacity import Capacity, Limit
from pytest_agb.store.facts import Fact


def test_unknown_until_a_create_is_refused() -> None:
    limit = Limit()
    assert not limit.felt
    assert limit.room(0.0) == math.inf


def test_no_more_than_there_was_room_for() -> None:
    limit = Limit()
    limit.refused(3, 100.0)

    assert limit.felt
    assert limit.room(100.5) == 3


def test_now_and_then_one_more_is_tried_at_growing_intervals() -> None:
    limit, now, tries = Limit(), 100.0, []
    limit.refused(0, now)
    while now < 200:
        now += 0.5
        if limit.room(now) == 1:
            tries.append(now - 100)
            limit.tried(now)
            limit.refused(0, now)

    assert tries == [1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]


def test_it_waits_as_long_as_the_service_says() -> None:
    limit = Limit()
    limit.refused(3, 100.0, retry_after=20.0)

    assert limit.room(119.0) == 3
    assert limit.room(120.0) == 4


def test_the_limit_rises_with_what_succeeds() -> None:
    limit = Limit()
    limit.refused(3, 100.0)
    limit.created(4, 102.0)
    assert limit.room(102.5) == 4
    assert limit.room(103.0) == 5


def test_several_refused_at_once_count_as_one() -> None:
    limit = Limit()
    for live in (7, 6, 5, 3):
        limit.refused(live, 100.0)

    assert limit.room(100.9) == 3
    assert limit.room(101.0) == 4


def test_while_one_more_is_tried_no_other_is() -> None:
    limit = Limit()
    limit.refused(3, 100.0)
    limit.tried(101.0)

    assert limit.room(101.5) == 3
    limit.created(4, 101.7)
    assert limit.room(102.7) == 5


def test_what_is_kept_takes_room_and_is_known_to_be_there() -> None:
    limit = Limit()
    assert limit.room(100.0, 5) == math.inf
    limit.refused(3, 100.0)

    assert limit.room(100.5, 2) == 1
    assert limit.room(100.5, 4) == 0, "one was found that was lost: that there are four is no reason to wait"
    assert limit.room(101.0, 4) == 1


def test_a_refusal_is_forgotten_after_a_while_without_another() -> None:
    limit = Limit()
    limit.refused(3, 100.0)
    limit.forget(160.0)
    assert limit.felt
    limit.forget(161.0)
    assert not limit.felt
    assert limit.room(161.0) == math.inf

    limit.refused(3, 200.0)
    limit.forget(262.0)
    assert limit.felt, "it has proved right, and is remembered for longer"
    limit.forget(321.0)
    assert not limit.felt


def test_being_throttled_is_forgotten_sooner_but_not_before_the_service_says() -> None:
    limit = Limit()
    limit.refused(3, 100.0, retry_after=20.0, throttled=True)
    limit.forget(124.0)
    assert limit.felt
    limit.forget(125.0)
    assert not limit.felt


def test_what_the_account_had_room_for_bounds_what_is_created_ahead(bench: Callable[..., Bench]) -> None:
    run = bench(level=3)
    capacity = Capacity(run.state, run.settings, lambda: 1000.0)
    assert (capacity.ahead(8), capacity.ceiling(0), capacity.felt) == (3, math.inf, False)
    assert run.state.facts.get(Fact.LEVEL) == "3"

    for number in range(4):
        run.begin(f"slot-{number}")
    capacity.created()
    assert capacity.ahead(8) == 8, "there is more room by now"
    assert run.state.facts.get(Fact.LEVEL) == ""


def test_a_quota_is_remembered_and_throttling_is_not(bench: Callable[..., Bench]) -> None:
    run = bench()
    capacity = Capacity(run.state, run.settings, lambda: 1000.0)
    for number in range(4):
        run.begin(f"slot-{number}")

    assert capacity.refused(ThrottledError("slowly"))
    assert run.state.facts.get(Fact.LEVEL) == ""
    assert capacity.refused(QuotaError("quota exceeded"))
    assert run.state.facts.get(Fact.LEVEL) == "4"


def test_no_room_is_told_only_while_there_is_none(bench: Callable[..., Bench]) -> None:
    run = bench()
    now = [1000.0]
    capacity = Capacity(run.state, run.settings, lambda: now[0])
    run.begin("a")
    capacity.refused(QuotaError("quota exceeded"))
    capacity.planned(total=1, unserved=1)
    assert run.state.facts.get(Fact.NO_ROOM)

    now[0] += 120.0
    capacity.ceiling(0)
    capacity.planned(total=1, unserved=1)
    assert not run.state.facts.get(Fact.NO_ROOM)


def test_a_session_past_its_lifetime_that_is_not_seen_gone_keeps_no_kept_one(
    bench: Callable[..., Bench],
) -> None:
    """It is on its way out for ever; the user's is given up for the test that waits all the same."""
    run = bench(keep_failed=True, max_sessions=2)
    for number, slot in enumerate(("lapsed", "kept")):
        run.begin(slot)
        run.state.slots.ready(slot, f"session-{number}")
        run.state.waiters.ask(SPEC, member="worker", user="test_it")
    run.state.slots.deleting("lapsed")
    run.state.slots.lapsed("lapsed")
    run.state.slots.keep("kept", "a test")
    run.state.waiters.ask("another", member="worker", user="test_it")

    Capacity(run.state, run.settings, lambda: 1000.0).planned(total=1, unserved=1)

    assert run.state.slots.kept() == []
