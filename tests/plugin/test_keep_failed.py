"""`--agb-keep-failed`: the session of a test that failed is left to the user, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.deadline import eventually
from support.standin import StandIn

from pytest_agb.settings import DEFAULT_IDLE_TIMEOUT_SECONDS, MAX_LIFETIME_SECONDS


def alive(cloud: StandIn) -> set[str]:
    return {session.session_id for session in cloud.live_sessions()}


WRITES_DOWN = """
    import os, pathlib, pytest

    def write(session, request):
        (pathlib.Path(os.environ["SEEN"]) / request.node.name).write_text(session.session_id)

    @pytest.fixture
    def session(agb_session, request):
        write(agb_session, request)
        return agb_session
"""


def suite(tests: str) -> str:
    return WRITES_DOWN + tests


def test_only_the_session_of_the_failed_test_is_kept(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path, temp_directory: Path
) -> None:
    pytester.makepyfile(
        suite("""
    def test_good(session): pass
    def test_bad(session): assert False
    @pytest.mark.xfail
    def test_expected(session): assert False
    def test_skipped(session): pytest.skip("no")
    """)
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.assert_outcomes(passed=1, failed=1, xfailed=1, skipped=1)
    kept = (seen / "test_bad").read_text()
    assert alive(cloud) == {kept}
    (run,) = {session.labels["agb_run"] for session in cloud.sessions.values()}
    result.stdout.fnmatch_lines(
        [
            "agb: 4 sessions created, 3 deleted, 1 kept, 0 left",
            f"agb: session {kept} is kept: *.py::test_bad failed; without a call it ends after 1800 s",
            f"agb: to delete what is kept: pytest-agb sweep --run {run}",
        ]
    )
    eventually(lambda: not list(temp_directory.glob("pytest-agb-*/run-*")), "the keeper has left")
    assert alive(cloud) == {kept}

    swept = subprocess.run([sys.executable, "-m", "pytest_agb", "sweep", "--run", run], check=False)

    assert swept.returncode == 0
    assert alive(cloud) == set()


def test_nothing_is_kept_unasked(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile("def test_bad(agb_session): assert False")

    result = pytester.runpytest_subprocess()

    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])
    assert alive(cloud) == set()


def test_a_session_that_a_failed_setup_had_is_kept(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    pytester.makepyfile(
        suite("""
    @pytest.fixture
    def database(session): raise OSError("no database")
    def test_it(database): pass
    """)
    )
    pytester.runpytest_subprocess("--agb-keep-failed").assert_outcomes(errors=1)

    assert alive(cloud) == {(seen / "test_it").read_text()}


def test_a_shared_session_is_kept_for_the_first_test_that_failed(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        test_a="""
        def test_1(agb_session): pass
        def test_2(agb_session): assert False
        def test_3(agb_session): assert False
        """,
        test_b="def test_4(agb_session): pass",
        test_c="""
        def test_5(agb_session): pass
        def test_without_a_session(): assert False
        """,
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--agb-scope=module")

    result.assert_outcomes(passed=3, failed=3)
    (kept,) = alive(cloud)
    result.stdout.fnmatch_lines(
        [
            "agb: 3 sessions created, 2 deleted, 1 kept, 0 left",
            f"agb: session {kept} is kept: test_a.py::test_2 failed; *",
        ]
    )


def test_all_sessions_of_a_factory_are_kept_but_for_what_the_test_deleted(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    pytester.makepyfile(
        suite("""
    def test_it(agb_session_factory, request):
        sessions = [agb_session_factory() for _ in range(3)]
        (pathlib.Path(os.environ["SEEN"]) / "deleted").write_text(sessions[1].session_id)
        sessions[1].delete().check()
        assert False
    """)
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.assert_outcomes(failed=1)
    assert len(alive(cloud)) == 2
    assert (seen / "deleted").read_text() not in alive(cloud)
    result.stdout.fnmatch_lines(["agb: 3 sessions created, 1 deleted, 2 kept, 0 left"])


def test_under_xdist_each_workers_are_kept(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_it(agb_session, number): assert number % 2
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "-n2")

    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["agb: 6 sessions created, 3 deleted, 3 kept, 0 left"])
    assert len(alive(cloud)) == 3
    for session in alive(cloud):
        result.stdout.fnmatch_lines([f"agb: session {session} is kept: *::test_it* failed; *"])


def test_a_kept_session_is_not_leased_again(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(agb_session, number): assert number != 1
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--agb-reuse=always")

    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["agb: 2 sessions created, 1 deleted, 1 kept, 0 left"])


def test_what_is_kept_is_beyond_the_ceiling(pytester: pytest.Pytester, cloud: StandIn) -> None:
    """Else the second test would wait for somebody to look into the first one's session."""
    pytester.makeini("[pytest]\nagb_wait_timeout = 10\n")
    pytester.makepyfile(
        """
        def test_1(agb_session): assert False
        def test_2(agb_session): assert False
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--agb-max-sessions=1")

    result.assert_outcomes(failed=2)
    assert len(alive(cloud)) == 2


def test_what_is_kept_makes_room_where_the_account_has_none(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    cloud.max_sessions = 2
    pytester.makeini("[pytest]\nagb_wait_timeout = 60\n")
    pytester.makepyfile(
        suite("""
    @pytest.mark.parametrize("number", range(5))
    def test_it(session, number): assert False
    """)
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.assert_outcomes(failed=5)
    had = [(seen / f"test_it[{number}]").read_text() for number in range(5)]
    kept = alive(cloud)
    assert had[4] in kept
    assert had[0] not in kept
    result.stdout.fnmatch_lines(
        [f"agb: 5 sessions created, {5 - len(kept)} deleted, {len(kept)} kept, 0 left"]
    )


def test_what_is_kept_stays_where_room_is_about_to_be_made(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path
) -> None:
    """The account has no room for a session ahead of demand, nor for the next one before the last is gone."""
    cloud.max_sessions = 2
    cloud.delete_seconds = 1.5
    pytester.makepyfile(
        suite("""
    import time

    @pytest.mark.parametrize("number", range(4))
    def test_it(session, number):
        assert number
        time.sleep(0.5)
    """)
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.assert_outcomes(failed=1, passed=3)
    assert alive(cloud) == {(seen / "test_it[0]").read_text()}
    refused = cloud.count("/mcp/createSession") - 4
    assert 1 <= refused <= 8, "the service is asked again and again"


def test_a_refusal_that_no_room_would_lift_costs_no_kept_session(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        def test_1(agb_session): assert False
        def test_2(agb_session_factory): agb_session_factory(image="no-such-image")
        def test_3(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.assert_outcomes(failed=2, passed=1)
    assert len(alive(cloud)) == 1


def test_what_has_ended_is_not_called_kept(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        from pytest_agb import AGB

        def test_it(agb_session, agb_session_factory):
            other = AGB()
            other.delete(other.get(agb_session.session_id).check().session).check()
            agb_session_factory()
            assert False
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.assert_outcomes(failed=1)
    (kept,) = alive(cloud)
    result.stdout.fnmatch_lines(
        ["agb: 2 sessions created, 1 deleted, 1 kept, 0 left", f"agb: session {kept} is kept: *"]
    )


def test_a_session_past_its_lifetime_is_not_kept_for_the_test_that_it_fails(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makeini("[pytest]\nagb_max_lifetime = 1\n")
    pytester.makepyfile(
        """
        import time

        def test_1(agb_session): time.sleep(1.1)
        def test_2(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--agb-scope=module")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])


def test_packages_have_sessions_of_their_own(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        **{
            "test_a": "def test_outside(agb_session): pass",
            "pkg/__init__": "",
            "pkg/test_b": "def test_inside(agb_session): assert False",
        }
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--agb-scope=package")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["agb: 2 sessions created, 1 deleted, 1 kept, 0 left"])


def test_a_shared_session_that_a_test_asks_for_as_it_runs_is_kept(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        def test_it(request):
            request.getfixturevalue("agb_session")
            assert False
        """
    )
    pytester.runpytest_subprocess("--agb-keep-failed", "--agb-scope=module").assert_outcomes(failed=1)

    assert len(alive(cloud)) == 1


@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_failed_teardown_keeps_none(pytester: pytest.Pytester, cloud: StandIn, scope: str) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def late(agb_session):
            yield
            raise OSError("too late")

        def test_it(late): pass
        def test_next(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", f"--agb-scope={scope}")

    result.assert_outcomes(passed=2, errors=1)
    assert alive(cloud) == set()


def test_each_says_how_long_it_is_there(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.agb(idle_timeout=60)
        def test_it(agb_session): assert False
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    result.stdout.fnmatch_lines(
        ["agb: session * is kept: *::test_it failed; without a call it ends after 60 s"]
    )


def test_what_the_client_created_is_deleted_as_ever(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        from pytest_agb import CreateSessionParams

        def test_it(agb):
            agb.create(CreateSessionParams(image_id="agb-code-space-1")).check()
            assert False
        """
    )
    pytester.runpytest_subprocess("--agb-keep-failed").assert_outcomes(failed=1)

    assert len(cloud.sessions) == 1
    assert alive(cloud) == set()


def test_what_a_crashed_worker_held_is_deleted_as_ever(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import os

        def test_it(agb_session): os._exit(3)
        """
    )
    pytester.runpytest_subprocess("--agb-keep-failed", "-n1").assert_outcomes(failed=1)

    assert len(cloud.sessions) == 1
    eventually(lambda: not alive(cloud), "the keeper has deleted it")


def test_an_interrupted_test_has_not_failed(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile("def test_it(agb_session): raise KeyboardInterrupt")

    result = pytester.runpytest_subprocess("--agb-keep-failed")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert alive(cloud) == set()


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        pytest.param((), DEFAULT_IDLE_TIMEOUT_SECONDS, marks=pytest.mark.slow),
        (("--agb-keep-failed",), MAX_LIFETIME_SECONDS),
        pytest.param(("--agb-keep-failed", "--agb-idle-timeout=300"), 300, marks=pytest.mark.slow),
        (("--agb-keep-failed", "-o", "agb_max_lifetime=3600"), 3600),
    ],
)
def test_there_is_time_to_look_into_it(
    pytester: pytest.Pytester, cloud: StandIn, arguments: tuple[str, ...], seconds: int
) -> None:
    pytester.makepyfile("def test_it(agb_session): pass")

    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=1)

    (session,) = cloud.sessions.values()
    assert session.idle_timeout_seconds == seconds


def test_local_sandboxes_can_not_be_kept(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--agb-keep-failed")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --agb-keep-failed: local sandboxes end with the run; *pytest-agb serve*"]
    )


def test_a_projects_ini_file_holds_for_who_has_no_key(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nagb_local_isolation = any\nagb_keep_failed = true\n")
    pytester.makepyfile("def test_it(agb_session): assert False")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])


def test_what_is_kept_by_a_server_of_ones_own_can_be_looked_into(pytester: pytest.Pytester) -> None:
    """As the message says: by its ID, with what the test left in it."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_agb", "serve", "--isolation=any"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        account = dict(server.stdout.readline().strip().split("=", 1) for _ in range(2))
        environment = {**os.environ, **account}
        pytester.makepyfile(
            """
            def test_it(agb_session):
                agb_session.command.execute_command("echo what went wrong > trace.txt").check()
                assert False
            """
        )
        run = [sys.executable, "-m", "pytest", "--agb-keep-failed", "-p", "no:cacheprovider"]
        said = subprocess.run(run, env=environment, stdout=subprocess.PIPE, text=True, check=False).stdout
        kept = next(
            line.split()[2] for line in said.splitlines() if "::test_it failed" in line and "kept" in line
        )
        look = (
            f"from pytest_agb import AGB; session = AGB().get({kept!r}).check().session; "
            "print(session.command.execute_command('cat trace.txt').check().stdout)"
        )
        looked = subprocess.run(
            [sys.executable, "-c", look], env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        server.terminate()
    assert looked.strip() == "what went wrong"
