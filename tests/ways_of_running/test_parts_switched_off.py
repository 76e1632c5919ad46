"""With parts of pytest switched off, and with its output in a pipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.suite import Suite

pytestmark = pytest.mark.slow

USES_A_SESSION = """
    def test_it(agb_session):
        agb_session.get_status().check()
        ready()
"""


def test_without_a_terminal_reporter(suite: Suite) -> None:
    suite.write(USES_A_SESSION)
    with suite.start("-p", "no:terminal") as process:
        assert process.wait(60) == 0
    assert suite.output == ""
    assert list(suite.seen.iterdir())
    suite.assert_nothing_left()


@pytest.mark.parametrize("quiet", ["-q", "-qq"])
def test_quietly(suite: Suite, quiet: str) -> None:
    suite.write(USES_A_SESSION)
    suite.run(quiet)
    suite.assert_says_nothing_left()
    suite.assert_nothing_left()


def test_with_pytests_cache(suite: Suite) -> None:
    """All other suites of this folder run without it."""
    suite.write(USES_A_SESSION + "        assert len(list(SEEN.iterdir())) == 2\n")
    assert "1 failed" in suite.run("-p", "cacheprovider")
    assert "1 passed" in suite.run("-p", "cacheprovider", "--last-failed")
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_collecting_asks_nothing_of_the_service(
    suite: Suite, workers: list[str], temp_directory: Path
) -> None:
    suite.write(USES_A_SESSION)
    assert "1 test collected" in suite.run("--co", *workers)
    assert suite.service.requests == []
    assert not list(temp_directory.glob("pytest-agb-*"))


def test_a_pipe_ends_with_pytest(suite: Suite) -> None:
    """`pytest -s | cat` must not wait for the keeper, which goes on when pytest is killed."""
    suite.service.delete_seconds = 3.0
    suite.write(
        """
        def test_it(agb_session):
            print("here", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    with suite.start("-s", stdout=subprocess.PIPE) as process:
        assert process.stdout
        printed = process.stdout.read()  # until nobody has the other end any more

    assert b"here" in printed
    assert suite.own, "the pipe was held open until the session was deleted"
    suite.assert_nothing_left()


def test_a_pipe_ends_with_a_run_that_reports(suite: Suite) -> None:
    suite.write(USES_A_SESSION)
    with suite.start("-s", stdout=subprocess.PIPE) as process:
        assert process.stdout
        printed = process.stdout.read()
    assert b"agb: 1 session created, 1 deleted, 0 kept, 0 left" in printed
    suite.assert_nothing_left()


@pytest.mark.parametrize(
    ("asks", "workers"),
    [
        ("def test_it(agb_session): pass", []),
        ("def test_it(agb_session): pass", ["-n1"]),
        pytest.param(
            "def test_it(request): request.getfixturevalue('agb_session')", [], marks=pytest.mark.slow
        ),
        ("def test_it(agb_session): raise KeyboardInterrupt", []),
    ],
    ids=["plain", "xdist", "dynamic", "interrupt"],
)
def test_a_slow_end_of_other_fixtures_does_not_hide_what_became_of_the_sessions(
    suite: Suite, asks: str, workers: list[str]
) -> None:
    """The pool is closed before them, and the keeper leaves when no member has lived for 5 s."""
    suite.service.delete_seconds = 0.0
    suite.write(
        f"""
        @pytest.fixture(scope="session", autouse=True)
        def slow():
            yield
            time.sleep(8)

        {asks}
        """
    )

    suite.run(*workers)

    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=1)
