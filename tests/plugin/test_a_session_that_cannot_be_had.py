"""It is an error in the test that asked, which says why and what to do; never a skip, never a hang."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from support.standin import StandIn

SUITE = """
    import pytest

    @pytest.mark.parametrize("number", range(5))
    def test_it(agb_session, number): pass

    def test_without(): pass
"""


def test_wrong_key_is_remembered(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", "ako-wrong-one")
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=5, passed=1)
    result.stdout.fnmatch_lines(["no AGB session: *request ID *Check AGB_API_KEY*"])
    assert (
        result.stdout.str().count("Check AGB_API_KEY") == 2
    )  # the error, and what is next: the rest say where
    assert result.stdout.str().count("- AGB session -") == 1
    line = "no AGB session: AuthenticationError, as test_*.py::test_it[[]0[]] has it in full"
    result.stdout.fnmatch_lines([line] * 4)
    assert cloud.count("/mcp/createSession") <= 2  # for the first test and, ahead, for the second
    assert "ako-wrong-one" not in result.stdout.str() + result.stderr.str()


def test_wrong_key_is_remembered_over_workers(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", "ako-wrong-one")
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("-n2")

    result.assert_outcomes(errors=5, passed=1)
    assert cloud.count("/mcp/createSession") <= 4  # two per worker, before there is an answer
    assert result.stdout.str().count("Check AGB_API_KEY") == 2  # over workers, too
    assert result.stdout.str().count("has it in full\n") == 4


def test_unknown_image_is_remembered_and_others_go_on(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.agb(image="agb-typo")
        @pytest.mark.parametrize("number", range(5))
        def test_unknown(agb_session, number): pass

        def test_known(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=5, passed=1)
    result.stdout.fnmatch_lines(["no AGB session: *agb-typo*request ID *image-management*"])
    assert cloud.count("/mcp/createSession") <= 3
    assert cloud.live_sessions() == []


def test_cloud_without_a_key(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("--agb-backend=cloud")

    result.assert_outcomes(errors=5, passed=1)
    result.stdout.fnmatch_lines(["agb: cloud *(AGB_API_KEY is not set)*"])
    result.stdout.fnmatch_lines(["no AGB session: there is no API key*AGB_API_KEY*--agb-backend=local*"])


def test_unreachable_endpoint(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound and not listening: the port refuses
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AGB_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("AGB_API_KEY", "ako-1")
        pytester.makepyfile("def test_it(agb_session): pass\ndef test_other(agb_session): pass")

        result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["no AGB session: *AGB_ENDPOINT*"])
    line = "no AGB session: UnavailableError, as test_*.py::test_it has it in full"
    result.stdout.fnmatch_lines([line])


def test_endpoint_that_answers_html(pytester: pytest.Pytester, cloud: StandIn) -> None:
    for path in ("/mcp/createSession", "/sdk/ListSession"):
        cloud.fault(path, "html", times=10)
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no AGB session: *AGB_ENDPOINT*proxy or login page*"])
    result.stdout.fnmatch_lines(["agb: a session of slot * may be there: its create has no good answer: *"])
    assert cloud.live_sessions() == []


def test_a_lost_answer_costs_the_test_nothing(pytester: pytest.Pytester, cloud: StandIn) -> None:
    """The session is found by its slot label."""
    cloud.fault("/mcp/createSession", "drop_after")
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])
    assert cloud.count("/mcp/createSession") == 1
    assert cloud.live_sessions() == []


def test_a_delete_that_fails_for_a_while_is_tried_again(pytester: pytest.Pytester, cloud: StandIn) -> None:
    cloud.fault("/mcp/releaseSessionAsync", "503", times=2)
    pytester.makepyfile("def test_it(agb_session): pass")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)

    assert cloud.live_sessions() == []


def test_a_delete_that_fails_for_good_is_said_with_the_command_that_helps(
    pytester: pytest.Pytester, cloud: StandIn, temp_directory: Path
) -> None:
    cloud.fault("/mcp/releaseSessionAsync", "503", times=1000)
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=1)
    (session,) = cloud.live_sessions()
    result.stdout.fnmatch_lines(
        [
            "agb: 1 session created, 0 deleted, 0 kept, 1 left, did not wait for the rest *",
            f"agb: session {session.session_id} is left: could not be deleted: *",
            "agb: to delete what is left: pytest-agb sweep --run run-*",
        ]
    )
    # The keeper goes on trying, for as long as the session could live: not beyond this test.
    (member,) = temp_directory.glob("pytest-agb-*/run-*/members/keeper-*")
    os.kill(int(member.name.split("-")[1]), signal.SIGKILL)


def test_isolation_that_is_not_to_be_had_names_the_remedy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, temp_directory: Path
) -> None:
    """Where nothing isolates ``auto`` refuses; here such a kernel's answer is played."""
    pytester.makeini("[pytest]\n")
    pytester.makeconftest(
        """
        from pytest_agb.local.isolation import choose as isolation

        isolation.obstacle_to = lambda way: isolation.Obstacle(f"no {way} here", "another kernel")
        """
    )
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=5, passed=1)
    result.stdout.fnmatch_lines(
        [
            "no AGB session: *no namespaces here; no landlock here.*",
            "*to isolate them: *another kernel*",
            "*--agb-local-isolation=any*",
        ]
    )


def test_a_missing_extra_is_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest(
        """
        import importlib.util

        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: None if name == "uvicorn" else real(name, *rest)
        """
    )
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["no AGB session: local sandboxes need uvicorn: pip install 'pytest-agb[[]local[]]'*"]
    )


def test_a_session_that_was_taken_away_is_an_error_that_says_how(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, tempfile, time

        def test_it(agb_session):
            for path in pathlib.Path(tempfile.gettempdir()).rglob("members/pytest-*"):
                os.close(os.open(path, os.O_WRONLY))
            deadline = time.monotonic() + 30
            while agb_session.get_status().success:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        """
    )
    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*session-000001 was deleted while it was leased: *opened the plugin's own files in the temp*"]
    )
    assert cloud.live_sessions() == []
