"""What a refused create means, and how many sessions the account has room for now.

The service documents no quota. What it refuses while other sessions live, or in words of a quota, is taken
for one: then there is no more than there was room for, and now and then one more is tried. A refusal is
forgotten after a while without another: who was throttled once creates ahead again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb.client import AGBError, QuotaError, RefusedError, ThrottledError
from pytest_agb.client.api.classify import blames_what_was_sent
from pytest_agb.store.facts import Fact
from pytest_agb.store.slots import Slot, SlotState, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.settings import Settings
    from pytest_agb.store.state import State

#: Seconds until one more is tried: the first time, growing to the longest.
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
#: Seconds without a refusal after which the last one says nothing any more: of a quota, which grows to the
#: longest with each time that it proves right, and of throttling.
_QUOTA_SECONDS = 60.0
_QUOTA_LONGEST_SECONDS = 600.0
_THROTTLED_SECONDS = 5.0


def is_no_room(error: AGBError, *, others_live: bool) -> bool:
    """Whether a refusal says that there is no room now.

    By its words or, unless it blames what was sent, because other sessions of the run live.
    """
    if isinstance(error, (QuotaError, ThrottledError)):
        return True
    return others_live and type(error) is RefusedError and not blames_what_was_sent(error.code)


@dataclass
class Limit:
    """How many sessions there is room for, as far as is known. Pure: figures in, figures out."""

    #: Sessions that were there when a create was refused; infinite before that, and once it is forgotten.
    most: float = math.inf
    _pause: float = _FIRST_SECONDS
    _next_try: float = 0.0
    #: Whether one more is under way.
    _trying: bool = False
    #: When the refusal is forgotten, and how long one of a quota is remembered.
    _forget_at: float = math.inf
    _memory: float = _QUOTA_SECONDS

    @property
    def felt(self) -> bool:
        """Whether there is less room than was asked for."""
        return math.isfinite(self.most)

    def refused(
        self, live: int, now: float, retry_after: float | None = None, *, throttled: bool = False
    ) -> None:
        """A create was refused while ``live`` sessions were there."""
        if self._trying:
            self._pause = min(2 * self._pause, _LONGEST_SECONDS)
            self._trying = False
        self._next_try = now + max(self._pause, retry_after or 0.0)
        self.most = min(self.most, live)
        lasts = max(_THROTTLED_SECONDS, self._pause) if throttled else self._memory
        self._forget_at = max(self._next_try, now) + lasts

    def created(self, live: int, now: float) -> None:
        """A create succeeded, which made ``live`` sessions."""
        if live > self.most:
            self.most = live
            self._pause = _FIRST_SECONDS
            self._next_try = now + self._pause
            self._trying = False

    def forget(self, now: float) -> None:
        """Let go of a refusal that is long past."""
        if now >= self._forget_at:
            self._memory = min(2 * self._memory, _QUOTA_LONGEST_SECONDS)  # if it proves right after all
            self.most, self._forget_at = math.inf, math.inf
            self._pause, self._trying = _FIRST_SECONDS, False

    def sure(self, kept: int = 0) -> float:
        """How many sessions there is room for beside those that are left to the user."""
        return max(self.most - kept, 0)

    def room(self, now: float, kept: int = 0) -> float:
        """How many there may be now: one more than there was room for, when it is time to try."""
        return self.sure(kept) + (1 if now >= self._next_try else 0)

    def tried(self, now: float) -> None:
        """A create beyond the limit is under way: no other is sent before there was time for its answer."""
        self._trying = True
        self._next_try = now + self._pause


class Capacity:
    """The room of a run on this host: what its slots take of it, and what refused creates say."""

    def __init__(self, state: State, settings: Settings, clock: Callable[[], float]) -> None:
        self._state = state
        self._settings = settings
        self._clock = clock
        self._limit = Limit()
        #: What the service said when it had no room.
        self._words = ""
        #: How many sessions the account has had room for, in this run or the last; infinite if not known.
        earlier = state.facts.get(Fact.LEVEL)  # a keeper's before this one
        self._learn_level(int(earlier) if earlier else settings.level or math.inf)

    @property
    def felt(self) -> bool:
        """Whether there is less room than was asked for."""
        return self._limit.felt

    def ceiling(self, unsure: int) -> float:
        """How many sessions there may be now, those that are kept aside.

        ``unsure`` others may be there although the service refused them: they count for what was asked for.
        """
        now = self._clock()
        self._limit.forget(now)
        asked_for = (self._settings.max_sessions or math.inf) - self._kept() - unsure
        return min(max(asked_for, 0), self._limit.room(now, self._kept()))

    def ahead(self, depth: int) -> int:
        """How many of ``depth`` sessions may be created ahead of demand: none beyond what was refused before.

        That holds only for those: whoever waits for a session finds out whether there is more room by now.
        """
        return int(min(depth, max(self._level - self._kept(), 0)))

    def planned(self, total: int, unserved: int) -> None:
        """There will be ``total`` sessions, and none yet for ``unserved`` of those who wait."""
        kept, asked_for = self._kept(), self._settings.max_sessions
        sure = self._limit.sure(kept)
        if total > sure:
            self._limit.tried(self._clock())
        enough = asked_for is not None and asked_for - kept <= sure
        short = self.felt and not enough and (total > sure or unserved > 0)
        self._state.facts.put(Fact.NO_ROOM, self._words if short else "")
        if unserved and asked_for is not None and total + kept >= asked_for:
            self._make_room()

    def created(self) -> None:
        """A create succeeded."""
        live = self._live()
        self._limit.created(live, self._clock())
        if live > self._level:
            self._learn_level(math.inf)  # there is more by now

    def refused(self, error: AGBError) -> bool:
        """A create was refused; say whether for lack of room, which is made then where it can be."""
        live, kept = self._live(), self._kept()
        if not is_no_room(error, others_live=live > kept):
            return False
        throttled = isinstance(error, ThrottledError)
        self._limit.refused(live, self._clock(), error.retry_after, throttled=throttled)
        self._words = str(error)
        self._make_room()
        if not throttled and live:
            self._learn_level(live)
        return True

    def _learn_level(self, level: float) -> None:
        self._level = level
        self._state.facts.put(Fact.LEVEL, str(level) if math.isfinite(level) else "")

    def _make_room(self) -> None:
        """Give up a session that is kept where a test waits, and no other one is about to go."""
        going = any(slot.state is SlotState.DELETING for slot in self._counted())
        if self._kept() and not going and self._state.waiters.waiting():
            self._state.slots.give_up_kept("it was kept until there was no room for another one")

    def _live(self) -> int:
        """How many sessions of this run on this host the account may count now."""
        return self._kept() + sum(slot.state is not SlotState.LOST for slot in self._counted())

    def _counted(self) -> list[Slot]:
        """The slots but for those that are given up: their maximum lifetime has ended them."""
        return [slot for slot in self._state.slots.left() if slot.trouble is not Trouble.GIVEN_UP]

    def _kept(self) -> int:
        """How many sessions are left to the user, which count as all others do."""
        return len(self._state.slots.kept()) if self._settings.keep_failed else 0
