"""How many sessions to have: whoever waits first, then the tests to come, never beyond the ceiling."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_agb.keeper.plan import Plan, Situation, Times, depth, make

NOTHING = Situation(
    waiting=(),
    upcoming=(),
    idle=Counter(),
    coming=Counter(),
    leased=0,
    ending=0,
    ceiling=math.inf,
    depth=0,
)


def plan(
    *,
    waiting: Sequence[str] = (),
    upcoming: Sequence[str] = (),
    idle: str = "",
    coming: str = "",
    leased: int = 0,
    ending: int = 0,
    ceiling: float = math.inf,
    depth: int = 0,
    thrifty: bool = True,
) -> tuple[str, str]:
    """Letters are specs; return those to create and those to give up."""
    made: Plan = make(
        replace(
            NOTHING,
            waiting=tuple(waiting),
            upcoming=tuple(upcoming),
            idle=Counter(idle),
            coming=Counter(coming),
            leased=leased,
            ending=ending,
            ceiling=ceiling,
            depth=depth,
            thrifty=thrifty,
        )
    )
    return "".join(made.create), "".join(sorted(made.give_up.elements()))


def test_nothing_to_do() -> None:
    assert plan() == ("", "")


def test_one_for_each_who_waits() -> None:
    assert plan(waiting="aab") == ("aab", "")
    assert plan(waiting="aab", coming="a") == ("ab", "")
    assert plan(waiting="aab", idle="a", coming="ab") == ("", "")


def test_the_longest_waiting_first_under_a_ceiling() -> None:
    assert plan(waiting="ba", leased=2, ceiling=3) == ("b", "")
    assert plan(waiting="ba", leased=2, ending=1, ceiling=3) == ("", "")


def test_an_idle_session_makes_room_for_one_that_is_waited_for() -> None:
    assert plan(waiting="b", idle="a", upcoming="a", leased=1, ceiling=2) == ("", "a")
    assert plan(waiting="ab", idle="a", leased=1, ceiling=2) == ("", "")


def test_ahead_in_the_order_of_the_tests_to_come() -> None:
    assert plan(upcoming="abab", leased=1, depth=4) == ("aba", "")
    assert plan(upcoming="abab", idle="a", leased=1, depth=4) == ("ba", "")
    assert plan(upcoming="aaa", idle="b", leased=1, depth=9, thrifty=False) == ("aaa", "")


def test_never_more_than_tests_can_still_use() -> None:
    assert plan(upcoming="a", leased=2, depth=9) == ("a", "")
    assert plan(upcoming="", idle="aa", leased=2, depth=9) == ("", "aa")
    assert plan(upcoming="a", idle="aa", leased=2, depth=9) == ("", "a")


def test_ahead_stays_below_the_ceiling_and_behind_those_who_wait() -> None:
    assert plan(waiting="a", upcoming="bbbb", leased=1, ceiling=3, depth=9) == ("ab", "")
    assert plan(waiting="aaa", upcoming="bbbb", leased=1, depth=3) == ("aaa", "")


def test_what_is_created_for_somebody_who_waits_is_not_counted_for_those_to_come() -> None:
    assert plan(waiting="a", upcoming="aa", coming="a", depth=3) == ("aa", "")


def test_where_sessions_are_reused_idle_ones_are_kept_for_whoever_comes() -> None:
    assert plan(idle="ab", thrifty=False) == ("", "")


@pytest.mark.parametrize(
    ("times", "workers", "max_sessions", "expected"),
    [
        (None, 1, None, 2),  # nothing is known yet: two per worker
        (None, 4, None, 8),
        (None, 4, 24, 24),  # asked for: all of it from the first wave
        (Times(2.0, 0.3, 0.0), 1, None, 8),  # Little's law asks for 7, and a spare
        (Times(2.0, 0.3, 0.1), 4, None, 16),  # it asks for 36: 4 per worker are the most
        (Times(2.0, 0.3, 0.1), 4, 24, 24),
        (Times(2.0, 0.3, 0.1), 4, 100, 36),
        (Times(0.02, 5.0, 0.01), 4, None, 8),  # long tests: one in use and one spare per worker
        (Times(2.0, 90.0, 0.1), 1, None, 1),  # a spare would be too old when the test ends
        (Times(2.0, 90.0, 0.1), 8, None, 13),  # of eight workers somebody is ready for it soon enough
        (Times(2.0, 0.0, 0.12), 2, 1000, 88),  # tests that take no time don't ask for infinitely many
    ],
)
def test_depth(times: Times | None, workers: int, max_sessions: int | None, expected: int) -> None:
    assert depth(times, workers, max_sessions, max_idle=60.0) == expected
