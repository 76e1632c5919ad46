"""What a run's sessions cost, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_agb.store.history import Cost

#: Rows of a table.
_ROWS = 5
#: Seconds. A shorter wait is none that anybody would look for.
_SHORTEST_WAIT = 0.1


def lines(cost: Cost, *, verbosity: int = 0) -> Iterator[str]:
    """One line; with ``-v`` the slowest waits and the tests that had sessions for longest, too."""
    longest = max((seconds for _, seconds in cost.waits), default=0.0)
    yield (
        f"agb: {cost.used / 60:.2f} sandbox-minutes used, {cost.idle / 60:.2f} idle; "
        f"at most {cost.most} at once; longest wait {longest:.1f} s"
    )
    if verbosity >= 1:
        yield from _table("slowest waits", [pair for pair in cost.waits if pair[1] >= _SHORTEST_WAIT])
        yield from _table("costliest tests", cost.tests)


def _table(title: str, rows: Sequence[tuple[str, float]]) -> Iterator[str]:
    if rows:
        yield f"agb: {title}:"
    for test, seconds in rows[:_ROWS]:
        yield f"{seconds:9.2f} s  {test or 'another use'}"
