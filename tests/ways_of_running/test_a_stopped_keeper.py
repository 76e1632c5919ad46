"""A keeper that is stopped: people see it while a test waits, under xdist too, and all is deleted."""

from __future__ import annotations

import re

import pytest
from support.suite import Suite

SUITE = """
    import tempfile

    def send(number):
        (keeper,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*/members/keeper-*")
        os.kill(int(keeper.name.split("-")[1]), number)

    def test_it(agb_session_factory):
        agb_session_factory()
        send(signal.SIGSTOP)
        try:
            agb_session_factory(image="agb-code-space-2")
        finally:
            send(signal.SIGCONT)
"""


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n1"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_it_is_shown_at_once_and_again_in_the_error(suite: Suite, workers: list[str]) -> None:
    (suite.directory / "pytest.ini").write_text("[pytest]\nagb_wait_timeout = 6\n")
    suite.write(SUITE)

    output = suite.run(*workers)

    still = r"the run's keeper \(process \d+\) has stood still for (\d) s, .*kill -CONT \d+"
    (seconds,) = re.findall(rf"agb: test_suite\.py::test_it waits for a session: {still}", output, re.M)
    assert int(seconds) <= 5
    assert re.search(rf"no session was free within 6 s \(agb_wait_timeout\): {still}", output)
    suite.assert_nothing_left()
    suite.assert_says_nothing_left()
