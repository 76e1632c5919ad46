"""With pytest-bdd, whose steps are fixtures that ask for others as they run."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("pytest-bdd",)

FEATURE = """\
Feature: Sandboxes
  Scenario: A session is used
    Given a session
    When code is run
    Then it is the same session

  Scenario: Another one
    Given a session
    When code is run
"""
STEPS = """
    from pytest_bdd import given, scenarios, then, when

    scenarios("sandboxes.feature")

    @given("a session", target_fixture="sandbox")
    def _(agb_session): return agb_session

    @when("code is run")
    def _(sandbox): use_sandbox(sandbox)

    @then("it is the same session")
    def _(sandbox, agb_session): assert sandbox is agb_session
"""


@pytest.mark.parametrize("way", TRIED)
def test_steps_share_their_scenarios_session(suite: Suite, way: str) -> None:
    answer_tools(suite)
    (suite.directory / "sandboxes.feature").write_text(FEATURE)
    suite.write(joined(SANDBOX, STEPS))

    assert "2 passed" in suite.run(*WAYS[way]), suite.output

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=2)
