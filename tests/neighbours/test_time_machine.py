"""With time-machine, which moves the clock for C code too."""

from __future__ import annotations

import pytest
from support.clocks import WAYS, assert_real_times
from support.suite import USE, Suite


@pytest.mark.parametrize("way", ["plain", "xdist", "plain-local"])
def test_sessions_are_had_while_the_clock_is_anywhen(suite: Suite, way: str) -> None:
    suite.write(
        USE
        + """
    import time_machine
    from datetime import datetime, timedelta, timezone

    @pytest.mark.parametrize("tick", [False, True])
    def test_past(agb_session, tick):
        with time_machine.travel("1999-12-31", tick=tick): use(agb_session, "past")

    @time_machine.travel("2099-12-31", tick=False)
    def test_far_future(agb_session): use(agb_session, "future")

    @pytest.fixture(params=[False, True])
    def ahead(request):
        to = datetime.now(timezone.utc) + timedelta(hours=1)
        with time_machine.travel(to, tick=request.param): yield

    def test_an_hour_ahead(ahead, agb_session, agb_session_factory, agb):
        use(agb_session, "ahead")
        use(agb_session_factory(), "factory")
        assert agb.list().success
    """
    )

    assert "5 passed" in suite.run(*WAYS[way])

    suite.assert_says_nothing_left()
    if "local" not in way:
        assert_real_times(suite)
        suite.assert_nothing_left(created=7)


@pytest.mark.parametrize("when", ["1999-12-31", "2099-12-31"])
def test_a_moved_clock_makes_no_shared_session_old(suite: Suite, when: str) -> None:
    suite.write(
        USE
        + f"""
    import time_machine

    @pytest.fixture(autouse=True, scope="session")
    def moved():
        with time_machine.travel({when!r}): yield

    @pytest.mark.parametrize("number", range(3))
    def test_it(agb_session, number): use(agb_session, number)
    """
    )

    assert "3 passed" in suite.run("--agb-scope=session", "--agb-reuse=always")

    suite.assert_says_nothing_left()
    assert_real_times(suite)
    suite.assert_nothing_left()
