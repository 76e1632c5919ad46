"""Waiting that takes no time."""

from __future__ import annotations


class Sleeps(list[float]):
    """Stands in for ``time.sleep``: notes how long was asked for, and returns at once."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        """The time that has passed: all that was slept."""
        return sum(self)
