"""Refuses requests that come too fast, as the service may."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttle:
    """Lets ``per_second`` requests through, and a second's worth of them at once after a pause."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._most = max(1.0, per_second)
        self._allowed = self._most
        self._clock = clock
        self._at = clock()

    def wait_seconds(self) -> float:
        """Count a request: 0 lets it through, else the seconds after which the next one may come."""
        now = self._clock()
        self._allowed = min(self._most, self._allowed + (now - self._at) * self.per_second)
        self._at = now
        if self._allowed < 1:
            return (1 - self._allowed) / self.per_second
        self._allowed -= 1
        return 0.0
