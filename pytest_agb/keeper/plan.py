"""How many sessions to have, and of which spec. Pure: figures in, decisions out."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Sessions per worker that are created ahead of demand at the most, and the least that this comes to,
#: where no ceiling is configured.
AHEAD_PER_WORKER = 4
AHEAD_AT_LEAST = 8

#: A shorter lease counts as this long: the division below must not run away.
_SHORTEST_LEASE_SECONDS = 0.05


@dataclass(frozen=True)
class Times:
    """What one session takes, in seconds."""

    create: float
    #: How long a lease is held.
    lease: float
    #: From the end of a lease until the service has accepted the release.
    delete: float


@dataclass(frozen=True)
class Situation:
    """All that the plan depends on."""

    #: The spec of each want, the longest waiting first.
    waiting: Sequence[str]
    #: The specs of the tests to come, in their order; no more than can matter.
    upcoming: Sequence[str]
    #: Sessions that are idle, and that are being created, by spec.
    idle: Counter[str]
    coming: Counter[str]
    #: Sessions that are leased, and that are being deleted and still count.
    leased: int
    ending: int
    #: Sessions that there may be at once.
    ceiling: float
    #: Sessions that there should be, if tests to come can use them; with 0 nothing is created ahead.
    depth: int
    #: Whether sessions that neither a waiting test nor one to come can use are given up.
    thrifty: bool = True

    @property
    def total(self) -> int:
        """Sessions that count."""
        return self.idle.total() + self.coming.total() + self.leased + self.ending


@dataclass(frozen=True)
class Plan:
    """What to do now."""

    #: Specs of the sessions to create.
    create: tuple[str, ...] = ()
    #: How many idle sessions of each spec to give up.
    give_up: Counter[str] = field(default_factory=Counter)
    #: How many of those who wait there is neither a session for nor one coming.
    unserved: int = 0


def depth(times: Times | None, workers: int, max_sessions: int | None, max_idle: float) -> int:
    """How many sessions there should be at once, so that no worker has to wait for one.

    By Little's law those that are being created, used and deleted are ``workers`` times the time of all three
    over the time of a lease. One more per worker is for what takes longer than usual, but no more than get
    used within ``max_idle`` seconds. Without ``times`` it is two per worker or, where ``max_sessions`` was
    asked for, all of that.
    """
    bound = max_sessions or max(AHEAD_AT_LEAST, AHEAD_PER_WORKER * workers)
    if times is None:
        return bound if max_sessions else min(bound, 2 * workers)
    lease = max(times.lease, _SHORTEST_LEASE_SECONDS)
    busy = workers * (times.create + lease + times.delete) / lease
    spare = min(workers, workers * max_idle / lease)
    return min(bound, math.floor(busy) + math.floor(spare))


def make(now: Situation) -> Plan:
    """Decide what to create and what to give up.

    Whoever waits comes first. Under a full ceiling an idle session that nobody waits for makes room for one
    that is waited for.
    """
    supply = now.idle + now.coming
    waiting = Counter(now.waiting)
    room = now.ceiling - now.total
    create: list[str] = []
    give_up: Counter[str] = Counter()

    missing = list((waiting - supply).elements())
    for spec in sorted(missing, key=now.waiting.index):
        if room >= 1:
            create.append(spec)
            room -= 1
        elif spare := _spare(now.idle - give_up, waiting):
            give_up[spare] += 1  # its place is free once the service has accepted the release

    supply += Counter(create)
    ahead = min(
        room,
        now.depth - (supply.total() + now.leased + now.ending) if now.depth else 0,
    )
    # The tests to come take what is there in their order; the first for which nothing is left is next.
    left = supply - waiting
    for spec in now.upcoming:
        if left[spec] > 0:
            left[spec] -= 1
        elif ahead >= 1:
            create.append(spec)
            ahead -= 1
    if now.thrifty:
        useless = (now.idle - give_up) & left
        give_up += useless
    return Plan(tuple(create), give_up, (waiting - supply).total())


def _spare(idle: Counter[str], waiting: Counter[str]) -> str | None:
    spare = idle - waiting
    return next(iter(spare), None)
