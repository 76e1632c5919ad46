"""``agb_budget_minutes``: a run that has spent it creates nothing more, and says so in all that ask."""

from __future__ import annotations

import pytest
from support.standin import StandIn


def test_tests_that_ask_after_it_is_spent_fail_at_once_and_nothing_more_is_created(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makeini("[pytest]\nagb_budget_minutes = 0.02\nagb_wait_timeout = 60\n")
    pytester.makepyfile(
        """
        import contextlib, pathlib, pytest, sqlite3, tempfile, time

        def test_spends(agb_session):
            (path,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*/slots.sqlite3")
            deadline = time.monotonic() + 30
            with contextlib.closing(sqlite3.connect(path)) as state:
                while not state.execute("select * from refusals").fetchall():
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            agb_session.get_status().check()  # what it has it keeps

        @pytest.mark.parametrize("number", range(20))
        def test_asks(agb_session, number): pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly")

    result.assert_outcomes(passed=1, errors=20)
    result.stdout.fnmatch_lines(
        [
            "no AGB session: the run has spent its 0.02 sandbox-minutes (agb_budget_minutes): "
            "* used and * idle. Raise agb_budget_minutes, *",
            "A session could not be had: the run has spent *",
            "Next: Raise agb_budget_minutes, *",
        ]
    )
    result.stdout.no_fnmatch_line("*earlier test of this run*")
    assert cloud.count("/mcp/createSession") <= 8  # what was created ahead before that
    assert cloud.live_sessions() == []
