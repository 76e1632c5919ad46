"""With pytest-freezer, which stops the clock by a fixture or a marker."""

from __future__ import annotations

import pytest
from support.clocks import WAYS, assert_real_times
from support.suite import USE, Suite


@pytest.mark.parametrize("way", ["plain", "xdist", "plain-local"])
def test_sessions_are_had_while_the_clock_stands_still(suite: Suite, way: str) -> None:
    suite.write(
        USE
        + """
    @pytest.mark.freeze_time("1999-12-31")
    def test_marked(agb_session): use(agb_session, "marked")

    def test_fixture(freezer, agb_session, agb_session_factory):
        use(agb_session, "before")
        freezer.move_to("2099-12-31")
        use(agb_session_factory(), "after")

    def test_session_first(agb_session, freezer):
        freezer.move_to("2099-12-31")
        use(agb_session, "first")
    """
    )

    assert "3 passed" in suite.run(*WAYS[way])

    suite.assert_says_nothing_left()
    if "local" not in way:
        assert_real_times(suite)
        suite.assert_nothing_left(created=4)
