"""With pytest-repeat, flaky and pytest-order, which run tests again, or in another order."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import USE, Suite, uses

LOADS = ("flaky",)
TESTS = """
    from flaky import flaky

    FAILED = []

    @pytest.mark.repeat(3)
    def test_repeated(agb_session): use(agb_session, "repeated")

    @flaky(max_runs=2)
    def test_flaky(agb_session):
        use(agb_session, "flaky")
        if not FAILED:
            FAILED.append(1)
            raise AssertionError("only the first time")

    @pytest.mark.order(2)
    def test_b(agb_session): use(agb_session, "b")

    @pytest.mark.order(1)
    def test_a(agb_session): use(agb_session, "a")
"""


@pytest.mark.parametrize("way", TRIED)
def test_each_repetition_has_a_session_of_its_own(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, USE, TESTS))

    assert "6 passed" in suite.run(*WAYS[way]), suite.output

    found = uses(suite)
    assert [name for name, _ in found] == ["a", "b", "flaky", "flaky", "repeated", "repeated", "repeated"]
    assert len({session for _, session in found}) == 7
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=7)
