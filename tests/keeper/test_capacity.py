"""What refused creates teach about the room that the account has."""

from __future__ import annotations

import math

from pytest_agb.keeper.capacity import Limit


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
