"""A session that dies is lost for all who share it: the next test has a new one, or an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.standin import StandIn, StandInSession

#: The second test's session ends as the service ends one; the third only finds it so.
SUITE = """
    import pytest

    def test_one(agb_session): agb_session.get_status().check()

    def test_two(agb_session):
        with open("seen/dies", "w") as dies: print(agb_session.session_id, file=dies, end="")
        agb_session.command.execute_command("die")
        assert not agb_session.command.execute_command("true").success

    def test_three(agb_session): agb_session.get_status().check()

    @pytest.fixture
    def by_another(agb_session): return agb_session

    def test_four(by_another): by_another.get_status().check()
"""


def make_mortal(cloud: StandIn) -> None:
    """Have the service end a session that runs ``die``."""

    def shell(session: StandInSession, arguments: dict[str, object]) -> str:
        if "die" in str(arguments):
            cloud.end_session(session.session_id)
        return '{"stdout": "", "stderr": "", "exit_code": 0}'

    cloud.tools["shell"] = shell


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n1"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_the_next_tests_have_one_clear_error_each(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path, workers: list[str]
) -> None:
    make_mortal(cloud)
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly", *workers)

    result.assert_outcomes(passed=2, errors=2)
    lost = "AGB session session-000001 is lost: it is gone: *not found*--agb-scope*agb_renew = true*"
    result.stdout.fnmatch_lines(["*setup of test_three*", lost, "*setup of test_four*", lost])
    assert cloud.live_sessions() == []


def test_where_asked_for_the_next_test_has_a_new_one(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    make_mortal(cloud)
    pytester.makeini("[pytest]\nagb_renew = true\n")
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("--agb-scope=session", "-p", "no:randomly")

    result.assert_outcomes(passed=4)
    assert cloud.count("/mcp/createSession") == 2
    assert cloud.live_sessions() == []


def test_it_is_never_leased_again(pytester: pytest.Pytester, cloud: StandIn, seen: Path) -> None:
    make_mortal(cloud)
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("--agb-reuse=always", "-p", "no:randomly")

    result.assert_outcomes(passed=4)
    dead = (seen / "dies").read_text()
    asked = [request.body.get("sessionId") for request in cloud.requests if request.path == "/mcp"]
    assert asked == [dead, dead]
    assert cloud.live_sessions() == []


@pytest.mark.parametrize(
    "arguments", [["--agb-scope=module"], ["--agb-reuse=always"]], ids=["shared", "reused"]
)
def test_one_that_answers_nothing_for_long_is_dead_too(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    cloud.latency["/mcp/refreshSessionIdleTime"] = 60.0
    monkeypatch.setenv("AGB_TIMEOUT_MS", "1000")
    pytester.makeconftest(
        """
        from pytest_agb.pool import watched_session

        watched_session._SILENT_SECONDS = 1.5
        """
    )
    pytester.makepyfile(
        """
        def test_short(agb_session):  # 1 s is not long yet, and then it answers
            assert not agb_session.keep_alive().success
            agb_session.get_status().check()

        def test_long(agb_session):
            agb_session.get_status().check()
            for _ in range(2): assert not agb_session.keep_alive().success

        def test_next(agb_session): agb_session.get_status().check()
        """
    )
    result = pytester.runpytest_subprocess(*arguments, "-p", "no:randomly")

    if "--agb-reuse=always" in arguments:
        result.assert_outcomes(passed=3)
        asked = [
            request.body["sessionId"] for request in cloud.requests if request.path == "/mcp/getSessionInfo"
        ]
        assert asked[0] == asked[1] != asked[-1]
    else:
        result.assert_outcomes(passed=2, errors=1)
        lost = "AGB session session-000001 is lost: it answered nothing for 2 s. *agb_renew*"
        result.stdout.fnmatch_lines(["*setup of test_next*", lost])
    assert cloud.live_sessions() == []


def test_what_the_keeper_finds_dead_is_so_for_the_next_test(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    make_mortal(cloud)
    pytester.makepyfile(
        """
        import contextlib, os, pathlib, sqlite3, tempfile, time

        def test_one(agb_session):
            agb_session.command.execute_command("die")
            (path,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*/slots.sqlite3")
            deadline = time.monotonic() + 30
            troubles = "select trouble from slots where state = 'leased'"
            with contextlib.closing(sqlite3.connect(path)) as slots:
                while slots.execute(troubles).fetchall() != [("dead",)]:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)

        def test_two(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess("--agb-scope=module", "--agb-idle-timeout=4", "-p", "no:randomly")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["AGB session session-000001 is lost: it is gone: *"])


def test_what_a_test_asks_in_vain_of_a_live_session_is_no_death(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        def test_one(agb_session):
            assert not agb_session.command.execute_command("no such tool").success
            assert not agb_session.set_labels({"agb_run": "mine"}).success

        def test_two(agb_session): agb_session.get_status().check()
        """
    )
    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly")

    result.assert_outcomes(passed=2)
    assert cloud.count("/mcp/createSession") == 1
