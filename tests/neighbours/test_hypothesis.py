"""With hypothesis, which runs a test's body many times in one setup of its fixtures."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("hypothesispytest",)

TESTS = """
    from hypothesis import HealthCheck, given, settings, strategies

    @settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(number=strategies.integers())
    def test_one_session(agb_session, number): use_sandbox(agb_session)

    @settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(number=strategies.integers())
    def test_a_session_each(agb_session_factory, number): use_sandbox(agb_session_factory())
"""


@pytest.mark.parametrize("way", TRIED)
def test_examples_share_a_session_or_have_one_each(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    assert "2 passed" in suite.run("-W", "error", *WAYS[way]), suite.output

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=4)
