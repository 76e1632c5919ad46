"""What a refused create teaches: how many sessions the account has room for now.

The service documents no quota. What it refuses while other sessions live, or in words of a quota, is taken
for one: then there is no more than there was room for, and now and then one more is tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Seconds until one more is tried: the first time, growing to the longest.
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0


@dataclass
class Capacity:
    """How many sessions there is room for, as far as is known."""

    #: Sessions that were there when a create was refused; infinite before any was.
    limit: float = math.inf
    #: What the service said.
    words: str = ""
    _pause: float = _FIRST_SECONDS
    _next_try: float = 0.0
    #: Whether one more is under way.
    _trying: bool = False

    @property
    def felt(self) -> bool:
        """Whether there is less room than was asked for."""
        return math.isfinite(self.limit)

    def refused(self, live: int, now: float, words: str, retry_after: float | None = None) -> None:
        """A create was refused while ``live`` sessions were there."""
        if self._trying:
            self._pause = min(2 * self._pause, _LONGEST_SECONDS)
            self._trying = False
        self._next_try = now + max(self._pause, retry_after or 0.0)
        self.limit = min(self.limit, live)
        self.words = words

    def created(self, live: int, now: float) -> None:
        """A create succeeded, which made ``live`` sessions."""
        if live > self.limit:
            self.limit = live
            self._pause = _FIRST_SECONDS
            self._next_try = now + self._pause
            self._trying = False

    def sure(self, kept: int = 0) -> float:
        """How many sessions there is room for beside those that are left to the user."""
        return max(self.limit - kept, 0)

    def room(self, now: float, kept: int = 0) -> float:
        """How many there may be now: one more than there was room for, when it is time to try."""
        return self.sure(kept) + (1 if now >= self._next_try else 0)

    def tried(self, now: float) -> None:
        """A create beyond the limit is under way: no other is sent before there was time for its answer."""
        self._trying = True
        self._next_try = now + self._pause
