"""Slows all threads down as soon as the service tells one of them to wait."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

#: Seconds between two looks at whether all is over.
_LOOK_SECONDS = 0.5
#: First and longest pause after a call that was throttled to the end, where the service names no time.
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0


class RateLimiter:
    """How many threads may call at once, and from when on.

    A context manager around one thread's calls. While a client waits to repeat a call nobody begins another;
    each such pause halves the number of threads that may call at once, and calls without one raise it again.
    """

    def __init__(self, most: int, stop: threading.Event) -> None:
        """Let ``most`` threads in at once; waits end early once ``stop`` is set."""
        self._most = most
        self._stop = stop
        self._changed = threading.Condition()
        self._limit = float(most)
        self._active = 0
        self._until = 0.0
        self._throttled = 0

    @property
    def limit(self) -> int:
        """How many threads may call at once now."""
        return int(self._limit)

    def __enter__(self) -> None:
        with self._changed:
            while not self._stop.is_set():
                wait = self._until - time.monotonic()
                if wait <= 0 and self._active < self.limit:
                    break
                self._changed.wait(min(wait, _LOOK_SECONDS) if wait > 0 else _LOOK_SECONDS)
            self._active += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._active -= 1
            if self._until < time.monotonic():
                self._limit = min(float(self._most), self._limit + 1 / self._limit)
                self._throttled = 0
            self._changed.notify(2)

    def step_aside(self, seconds: float) -> None:
        """Sleep for a thread inside: it is out meanwhile, and comes back when there is room again."""
        with self._changed:
            self._active -= 1
        self.pause(seconds)
        self.__enter__()

    def pause(self, seconds: float) -> None:
        """Sleep for a thread outside, and keep all others from beginning a call for as long."""
        self._hold(seconds)
        self._stop.wait(seconds)

    def throttled(self, retry_after: float | None) -> None:
        """Keep all threads from beginning a call, longer each time: a client was throttled to the end."""
        with self._changed:
            pause = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0**self._throttled)
            self._throttled += time.monotonic() >= self._until
        self._hold(min(_LONGEST_SECONDS, max(pause, retry_after or 0.0)))

    def wait(self) -> None:
        """Wait until calls may begin."""
        self._stop.wait(max(0.0, self._until - time.monotonic()))

    def _hold(self, seconds: float) -> None:
        with self._changed:
            now = time.monotonic()
            if now >= self._until:  # many are told at the same moment; that is one pause
                self._limit = max(1.0, self._limit / 2)
            self._until = max(self._until, now + seconds)
