"""A test that closes descriptors that are not its own, those of the run's database and lock among them."""

from __future__ import annotations

import pytest
from support.clocks import WAYS
from support.deadline import eventually
from support.mocks import SANDBOX, answer_tools, joined
from support.suite import Suite

TESTS = """
    def test_before(agb_session): use_sandbox(agb_session)

    def test_closes(agb_session): os.closerange(3, 64)

    def test_after(agb_session, agb): use_sandbox(agb_session, agb)

    def test_last(agb_session): use_sandbox(agb_session)
"""
#: Pytest's own descriptors are among those, which it does not survive.
WITHOUT = ["-s", "-p", "no:logging", "-p", "no:faulthandler"]


@pytest.mark.parametrize("way", ["plain-local", pytest.param("plain", marks=pytest.mark.slow)])
def test_it_is_told_once_and_later_tests_have_new_sessions(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    output = suite.run(*WITHOUT, *WAYS[way])

    assert "4 passed, 1 error" in output, output
    assert output.count("a test has closed file descriptors that are not its own") == 1
    assert "Traceback" not in output
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=5)


@pytest.mark.slow
def test_a_worker_does_not_survive_it_and_leaves_nothing(suite: Suite) -> None:
    suite.write(joined(SANDBOX, TESTS.replace("use_sandbox(agb_session, agb)", "pass")))
    answer_tools(suite)

    output = suite.run("-n2", "-s")

    assert "crashed while running" in output
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=4)
    eventually(lambda: not suite.own, "no session is left")
