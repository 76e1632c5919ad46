"""What a run's sessions cost: how long each was used, by which test, and how long it was there.

The tables keep their history by themselves, by triggers (see `database`): no path of a session's life can
leave it out. Times are SQLite's own wall clock.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb.store.slots import SlotState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_agb.store.database import Database

#: What SQLite calls now, in Unix seconds.
_NOW = "(julianday('now') - 2440587.5) * 86400.0"


@dataclass(frozen=True)
class Cost:
    """What the sessions of a run cost on this host. All times are seconds."""

    #: While tests had them.
    used: float
    #: While they were there otherwise: before a test, between two, until they were seen gone, or were left to
    #: the user.
    idle: float
    #: Sessions that were there at once, at the most.
    most: int
    #: How long tests waited for a session, each wait with its test, the longest first.
    waits: tuple[tuple[str, float], ...]
    #: How long each test had sessions, all of them together, the longest first.
    tests: tuple[tuple[str, float], ...]


def read(database: Database) -> Cost:
    """Sum up a run, as of now."""
    ((now,),) = database.fetch(f"SELECT {_NOW}")
    slots = database.fetch("SELECT name, state, user, at FROM history WHERE kind = 'slot' ORDER BY rowid")
    wants = database.fetch("SELECT name, state, user, at FROM history WHERE kind = 'want' ORDER BY rowid")
    lives: defaultdict[str, list[tuple[str, str, float]]] = defaultdict(list)
    for slot, state, user, at in slots:
        lives[slot].append((state, user, at))
    spent: defaultdict[str, float] = defaultdict(float)
    idle = 0.0
    changes: list[tuple[float, int]] = []
    for life in lives.values():
        ends = [at for _, _, at in life[1:]] + [now]
        there = False
        for (state, user, at), end in zip(life, ends, strict=True):
            if state == SlotState.IDLE and not there:
                there = True
                changes.append((at, 1))
            if there and state in (SlotState.GONE, SlotState.KEPT):
                there = False
                changes.append((at, -1))
            if there and state == SlotState.LEASED:
                spent[user] += end - at
            elif there:
                idle += end - at
    return Cost(
        used=sum(spent.values()),
        idle=idle,
        most=_most(changes),
        waits=_longest(_waits(wants, now)),
        tests=_longest(spent.items()),
    )


def _waits(rows: Iterable[tuple[str, str, str, float]], now: float) -> Iterable[tuple[str, float]]:
    open_wants: dict[str, tuple[str, float]] = {}
    for name, state, user, at in rows:
        if state == "waits":
            open_wants[name] = (user, at)
        else:
            waited_for, since = open_wants.pop(name)
            yield waited_for, at - since
    for user, since in open_wants.values():
        yield user, now - since


def _most(changes: Iterable[tuple[float, int]]) -> int:
    level = most = 0
    for _, change in sorted(changes):
        level += change
        most = max(most, level)
    return most


def _longest(times: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(times, key=lambda pair: -pair[1]))


def as_json(cost: Cost) -> Mapping[str, object]:
    """The same for a file."""
    return {
        "used_seconds": round(cost.used, 3),
        "idle_seconds": round(cost.idle, 3),
        "most_at_once": cost.most,
        "waits": [{"test": test, "seconds": round(seconds, 3)} for test, seconds in cost.waits],
        "tests": [{"test": test, "seconds": round(seconds, 3)} for test, seconds in cost.tests],
    }
