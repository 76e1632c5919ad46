"""What refused creates teach about the room that the account has."""

from __future__ import annotations

import math

from pytest_agb.keeper.capacity import Capacity


def test_unknown_until_a_create_is_refused() -> None:
    pressure = Capacity()
    assert not pressure.felt
    assert pressure.room(0.0) == math.inf


def test_no_more_than_there_was_room_for() -> None:
    pressure = Capacity()
    pressure.refused(3, 100.0, "quota")

    assert pressure.felt
    assert pressure.room(100.5) == 3


def test_now_and_then_one_more_is_tried_at_growing_intervals() -> None:
    pressure, now, tries = Capacity(), 100.0, []
    pressure.refused(0, now, "quota")
    while now < 200:
        now += 0.5
        if pressure.room(now) == 1:
            tries.append(now - 100)
            pressure.tried(now)
            pressure.refused(0, now, "quota")

    assert tries == [1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]


def test_it_waits_as_long_as_the_service_says() -> None:
    pressure = Capacity()
    pressure.refused(3, 100.0, "too many requests", retry_after=20.0)

    assert pressure.room(119.0) == 3
    assert pressure.room(120.0) == 4


def test_the_limit_rises_with_what_succeeds() -> None:
    pressure = Capacity()
    pressure.refused(3, 100.0, "quota")
    pressure.created(4, 102.0)
    assert pressure.room(102.5) == 4
    assert pressure.room(103.0) == 5


def test_several_refused_at_once_count_as_one() -> None:
    pressure = Capacity()
    for live in (7, 6, 5, 3):
        pressure.refused(live, 100.0, "quota")

    assert pressure.room(100.9) == 3
    assert pressure.room(101.0) == 4


def test_while_one_more_is_tried_no_other_is() -> None:
    pressure = Capacity()
    pressure.refused(3, 100.0, "quota")
    pressure.tried(101.0)

    assert pressure.room(101.5) == 3
    pressure.created(4, 101.7)
    assert pressure.room(102.7) == 5


def test_what_is_kept_takes_room_and_is_known_to_be_there() -> None:
    pressure = Capacity()
    assert pressure.room(100.0, 5) == math.inf
    pressure.refused(3, 100.0, "full")

    assert pressure.room(100.5, 2) == 1
    assert pressure.room(100.5, 4) == 0, (
        "one was found that was lost: that there are four is no reason to wait"
    )
    assert pressure.room(101.0, 4) == 1
