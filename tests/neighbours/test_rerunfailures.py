"""With pytest-rerunfailures, which runs a failed test again."""

from __future__ import annotations

import pytest
from support.standin import StandIn
from support.suite import USE, Suite, uses


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_a_rerun_gets_a_new_session(suite: Suite, workers: list[str]) -> None:
    """A sandbox that a failed test has used may be what made it fail."""
    suite.write(
        USE
        + """
    def test_it(agb_session):
        use(agb_session, "it")
        assert len(list(SEEN.iterdir())) == 2
    """
    )

    output = suite.run("--reruns=1", *workers)

    assert "1 passed, 1 rerun" in output
    assert len(uses(suite)) == 2
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


def test_a_rerun_after_a_failed_setup_deletes_what_the_setup_had(suite: Suite) -> None:
    suite.write(
        USE
        + """
    @pytest.fixture
    def prepared(agb_session):
        use(agb_session, "setup")
        assert len(list(SEEN.iterdir())) == 2

    def test_it(prepared): pass
    """
    )

    output = suite.run("--reruns=1")

    assert "1 passed, 1 rerun" in output
    assert len(uses(suite)) == 2
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


# What a forked test did is told by its files: pytest-forked 1.7.5 can't send pytest 9.2's reports, and says
# of each test that it crashed.


def test_each_failed_attempt_is_kept_where_tests_are_rerun(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        attempts = []

        def test_it(agb_session):
            attempts.append(agb_session)
            assert len(attempts) == 3
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--reruns=2")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: 3 sessions created, 1 deleted, 2 kept, 0 left"])
