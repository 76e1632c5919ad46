"""With freezegun, which stops the clocks of Python or sets them to another time."""

from __future__ import annotations

import pytest
from support.clocks import WAYS, assert_real_times
from support.suite import USE, Suite
from support.variants import slow_but

WHOLE_SUITE = (
    USE
    + """
    from datetime import datetime, timedelta
    from freezegun import freeze_time

    AHEAD = datetime.now() + timedelta(hours=1)

    @pytest.mark.parametrize("number", range(2))
    @freeze_time("1999-12-31")
    def test_past(agb_session, number): use(agb_session, "past")

    @freeze_time("2099-12-31", tick=True)
    def test_far_future(agb_session): use(agb_session, "future")

    @pytest.fixture
    def ahead(request):
        with freeze_time(AHEAD, tick=request.param): yield

    @pytest.mark.parametrize("ahead", [False, True], indirect=True)
    def test_an_hour_ahead(ahead, agb_session, agb_session_factory, agb):
        use(agb_session, "ahead")
        use(agb_session_factory(), "factory")
        assert agb.list().success
    """
)


@pytest.mark.parametrize("way", slow_but(lambda way: way in ("plain", "xdist-local"), WAYS))
def test_sessions_are_had_while_the_clock_stands_still_anywhen(suite: Suite, way: str) -> None:
    suite.write(WHOLE_SUITE)

    assert "5 passed" in suite.run(*WAYS[way])

    suite.assert_says_nothing_left()
    if "local" not in way:
        assert_real_times(suite)
        suite.assert_nothing_left(created=7)


@pytest.mark.parametrize(
    ("scope", "when"),
    slow_but(
        lambda scope, when: (scope == "module") == when.startswith("1999"),
        ["function", "module", "session"],
        ["1999-12-31", "2099-12-31"],
    ),
)
def test_a_clock_that_a_fixture_stops_for_all_tests_makes_no_shared_session_old(
    suite: Suite, scope: str, when: str
) -> None:
    suite.write(
        USE
        + f"""
    from freezegun import freeze_time

    @pytest.fixture(autouse=True, scope={scope!r})
    def frozen():
        with freeze_time({when!r}): yield

    @pytest.mark.parametrize("number", range(3))
    def test_it(agb_session, number): use(agb_session, number)
    """
    )

    assert "3 passed" in suite.run("--agb-scope=session", "--agb-reuse=always")

    suite.assert_says_nothing_left()
    assert_real_times(suite)
    suite.assert_nothing_left()


def test_a_wait_ends_in_real_time_while_the_clock_stands_still(suite: Suite) -> None:
    suite.write(
        """
        from freezegun import freeze_time

        @freeze_time("2030-01-01")
        def test_it(agb_session): pass
        """
    )
    suite.service.latency["/mcp/createSession"] = 5.0

    assert "no session was free within 1 s" in suite.run("-o", "agb_wait_timeout=1", "--agb-max-sessions=1")
