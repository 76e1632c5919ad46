"""With pytest-cov, whose measuring starts in a test's child processes, and must not in the run's own."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("pytest_cov",)

TESTS = """
    import subprocess
    import measured

    def test_here(agb_session):
        measured.here()
        use_sandbox(agb_session)

    def test_in_a_child(agb_session):
        subprocess.run([sys.executable, "-c", "import measured; measured.in_a_child()"], check=True)
        use_sandbox(agb_session)
"""
MEASURED = """\
def here():
    return 1

def in_a_child():
    return 2

def never():
    return 3
"""


@pytest.mark.parametrize("way", TRIED)
def test_what_the_tests_and_their_children_run_is_measured_and_nothing_else(suite: Suite, way: str) -> None:
    answer_tools(suite)
    (suite.directory / "measured.py").write_text(MEASURED)
    (suite.directory / ".coveragerc").write_text("[run]\npatch = subprocess\nparallel = true\n")
    suite.write(joined(SANDBOX, TESTS))

    output = suite.run("--cov=measured", "--cov-report=term-missing", *WAYS[way])

    assert "2 passed" in output, output
    measured = [line.split() for line in output.splitlines() if line.startswith("measured.py")]
    assert measured == [["measured.py", "6", "1", "83%", "8"]], output
    assert not list(suite.directory.glob(".coverage.*")), "a process of the run has left its measurements"
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=2)
