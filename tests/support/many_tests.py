"""Suites of many tests alike, and how many sessions they had at once."""

from __future__ import annotations

from support.standin import StandIn

MANY = """
    import pytest, time

    @pytest.mark.parametrize("number", range({tests}))
    def test_it(agb_session, number): time.sleep({seconds})
"""


def many(tests: int, seconds: float = 0.0) -> str:
    """A file of tests that take so long and use a session each."""
    return MANY.format(tests=tests, seconds=seconds)


def most_at_once(cloud: StandIn) -> int:
    """How many sessions there were at once, a session counting until it is gone."""
    events = [(session.created_at, 1) for session in cloud.sessions.values()]
    events += [(session.gone_at, -1) for session in cloud.sessions.values() if session.gone_at is not None]
    level = most = 0
    for _, change in sorted(events):
        level += change
        most = max(most, level)
    return most
