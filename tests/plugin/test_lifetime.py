"""A session that is shared for longer than the service keeps it is refused, or renewed where asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.standin import StandIn

AGED = """
    import time

    def test_one(agb_session):
        agb_session.first = agb_session.session_id
        time.sleep(2.2)

    def test_two(agb_session):
        assert agb_session.session_id != agb_session.first
        assert agb_session.get_status().success
"""


def test_a_shared_session_past_its_lifetime_fails_the_next_test(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makeini("[pytest]\nagb_max_lifetime = 2\n")
    pytester.makepyfile(AGED)

    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["AGB session session-000001 is * s old, past the maximum lifetime of 2 s*--agb-scope*agb_renew*"]
    )
    assert cloud.live_sessions() == []


def test_it_is_renewed_where_asked_for(pytester: pytest.Pytester, cloud: StandIn, seen: Path) -> None:
    pytester.makeini("[pytest]\nagb_max_lifetime = 2\nagb_renew = true\n")
    pytester.makeconftest(
        """
        def pytest_agb_session_ready(session):
            with open("seen/log", "a") as log: print(session.session_id, file=log)
        """
    )
    pytester.makepyfile(AGED)

    pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly").assert_outcomes(passed=2)

    assert (seen / "log").read_text().split() == ["session-000001", "session-000002"]
    assert cloud.live_sessions() == []


RENEW = "[pytest]\nagb_max_lifetime = 2\nagb_renew = true\n"


def test_a_renewal_takes_the_place_of_the_old_session(pytester: pytest.Pytester, cloud: StandIn) -> None:
    """There may be no room for both."""
    pytester.makeini(RENEW)
    pytester.makepyfile(AGED)

    result = pytester.runpytest_subprocess("--agb-scope=module", "--agb-max-sessions=1", "-p", "no:randomly")

    result.assert_outcomes(passed=2)
    assert cloud.live_sessions() == []


def test_a_renewal_is_waited_for_by_the_test_that_it_is_for(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    cloud.latency["/mcp/createSession"] = 1.0
    pytester.makeini(RENEW)
    pytester.makeconftest(
        """
        from pytest_agb.plugin.report import wait_line
        wait_line._QUIET_SECONDS = 0.1
        """
    )
    pytester.makepyfile(AGED + "        assert False, 'so that it has a report'\n")

    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly")

    result.assert_outcomes(passed=1, failed=1)
    for test in ("test_one", "test_two"):
        assert result.stdout.str().count(f"::{test} waits for a session: ") == 1
    result.stdout.fnmatch_lines(["*Captured agb setup*", "waited * s for a session: *"])


THREE = """
    import time

    def test_one(agb_session): time.sleep(2.2)
    def test_two(agb_session): raise NotImplementedError("its setup fails")
    def test_three(agb_session):
        with open("seen/last", "w") as last: print(agb_session.session_id, file=last, end="")
        assert agb_session.get_status().success
"""


def test_a_renewal_whose_old_session_can_not_be_given_back_leaves_none_without_an_owner(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    pytester.makeini(RENEW)
    pytester.makeconftest(
        """
        from pytest_agb import AGBError
        from pytest_agb.pool.pool import Pool

        release = Pool.release

        def fail_once(self, lease, *, reusable=False):
            Pool.release = release
            release(self, lease, reusable=reusable)
            raise AGBError("it was deleted meanwhile")

        Pool.release = fail_once
        """
    )
    pytester.makepyfile(THREE)

    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["no AGB session: it was deleted meanwhile"])
    assert cloud.count("/mcp/createSession") == 2, "one was leased and forgotten"
    assert cloud.live_sessions() == []


def test_what_could_not_be_prepared_in_a_renewal_is_no_later_tests_session(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    pytester.makeini(RENEW)
    pytester.makeconftest(
        """
        begun = []

        def pytest_agb_session_ready(session):
            begun.append(session.session_id)
            if len(begun) == 2: raise RuntimeError("can't prepare")
        """
    )
    pytester.makepyfile(THREE)

    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly")

    result.assert_outcomes(passed=2, errors=1)
    assert (seen / "last").read_text() == "session-000003"
    assert cloud.live_sessions() == []
