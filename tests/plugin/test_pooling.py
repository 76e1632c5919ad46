"""Sessions are created ahead, shared under a ceiling, reused where asked, and waited for with an end."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import pytest
from support.deadline import eventually
from support.many_tests import many, most_at_once
from support.standin import StandIn


def test_the_next_session_is_created_while_a_test_runs(pytester: pytest.Pytester, cloud: StandIn) -> None:
    cloud.latency["/mcp/createSession"] = 0.2
    pytester.makepyfile(many(8, seconds=0.5))

    result = pytester.runpytest_subprocess("-vv")

    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        ["agb: up to * sessions at once for 1 workers (create *, lease *, delete * s)"]
    )
    assert cloud.count("/mcp/createSession") == 8, "not as many as tests could use"
    sessions = list(cloud.sessions.values())
    ready_in_time = [
        later.created_at < (earlier.gone_at or 0.0) for earlier, later in itertools.pairwise(sessions)
    ]
    assert sum(ready_in_time) >= 4, "sessions were not there before the test before theirs had ended"


def test_sessions_of_other_kinds_are_created_ahead_too(pytester: pytest.Pytester, cloud: StandIn) -> None:
    cloud.latency["/mcp/createSession"] = 0.2
    pytester.makepyfile(
        """
        import pytest, time

        def test_plain(agb_session): time.sleep(0.5)
        @pytest.mark.agb(image="agb-code-space-2")
        def test_image(agb_session): time.sleep(0.5)
        @pytest.mark.agb(labels={"team": "data"})
        def test_labels(agb_session): time.sleep(0.5)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)

    by_kind = {(session.image_id, session.labels.get("team")): session for session in cloud.sessions.values()}
    assert len(cloud.sessions) == 3
    one = by_kind["agb-code-space-1", None]
    two = by_kind["agb-code-space-2", None]
    three = by_kind["agb-code-space-1", "data"]
    assert one.gone_at is not None
    assert two.created_at < one.gone_at
    assert two.gone_at is not None
    assert three.created_at < two.gone_at


@pytest.mark.parametrize(
    "conftest",
    [
        """
        import pytest

        @pytest.fixture
        def agb_image(request): return "agb-code-space-2"
        """,
        """
        from dataclasses import replace

        def pytest_agb_session_params(params): return replace(params, image_id="agb-code-space-2")
        """,
    ],
    ids=["fixture", "hook"],
)
def test_what_a_conftest_changes_is_learnt_from_the_first_test(
    pytester: pytest.Pytester, cloud: StandIn, conftest: str
) -> None:
    pytester.makeconftest(conftest)
    pytester.makepyfile(many(4, seconds=0.3))
    pytester.runpytest_subprocess().assert_outcomes(passed=4)

    assert [session.image_id for session in cloud.sessions.values()] == ["agb-code-space-2"] * 4
    first, second = list(cloud.sessions.values())[:2]
    assert first.gone_at is not None
    assert second.created_at < first.gone_at, "it was not created ahead"


def test_nothing_is_created_ahead_that_no_test_can_use(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        def test_one(agb_session): pass
        def test_two(agb_image): pass
        def test_three(): pass
        """
    )
    pytester.runpytest_subprocess("-n2", "--agb-max-sessions=9").assert_outcomes(passed=3)

    assert cloud.count("/mcp/createSession") == 1


def test_one_session_for_all_tests_of_a_wide_scope(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(many(5))
    pytester.runpytest_subprocess("--agb-scope=module").assert_outcomes(passed=5)

    assert cloud.count("/mcp/createSession") == 1


def test_the_ceiling_holds_over_all_workers(pytester: pytest.Pytester, cloud: StandIn) -> None:
    """Sessions on their way out, whose release is accepted, included."""
    cloud.latency["/mcp/createSession"] = 0.1
    cloud.delete_seconds = 0.4
    pytester.makepyfile(many(12, seconds=0.1))

    pytester.runpytest_subprocess("-n3", "--agb-max-sessions=2").assert_outcomes(passed=12)

    assert most_at_once(cloud) == 2


def test_a_test_that_holds_all_there_may_be_learns_so_at_once(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        def test_it(agb_session_factory):
            for _ in range(3): agb_session_factory()
        """
    )
    result = pytester.runpytest_subprocess("--agb-max-sessions=2")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*QuotaError*this process itself holds all 2 sessions that --agb-max-sessions allows*test_it*"]
    )


def test_without_a_ceiling_a_test_may_hold_any_number(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile("def test_it(agb_session_factory): [agb_session_factory() for _ in range(20)]")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_whoever_waits_too_long_learns_who_holds_what(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeini("[pytest]\nagb_wait_timeout = 1\n")
    pytester.makepyfile(
        """
        import pathlib, time

        def test_holds(agb_session):
            pathlib.Path("holds").touch()
            deadline = time.monotonic() + 30
            while not pathlib.Path("failed").exists() and time.monotonic() < deadline: time.sleep(0.05)

        def test_waits(request):
            while not pathlib.Path("holds").exists(): time.sleep(0.05)
            try:
                request.getfixturevalue("agb_session")
            finally:
                pathlib.Path("failed").touch()
        """
    )
    result = pytester.runpytest_subprocess("-n2", "--agb-max-sessions=1")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "no AGB session: no session was free within 1 s (agb_wait_timeout): 1 of 1 sessions are in use*"
            "Sessions in use: session-000001 by gw? for * s (*test_holds*)"
        ]
    )


@pytest.mark.slow
def test_waiting_is_shown(pytester: pytest.Pytester, cloud: StandIn) -> None:
    cloud.latency["/mcp/createSession"] = 6.0
    pytester.makepyfile("def test_it(agb_session): assert False")

    result = pytester.runpytest_subprocess()

    result.stdout.fnmatch_lines(["agb: *::test_it waits for a session: one is being created"])
    result.stdout.fnmatch_lines(["*Captured agb setup*", "waited * s for a session: one is being created"])


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_always_reused(pytester: pytest.Pytester, cloud: StandIn, workers: list[str]) -> None:
    pytester.makepyfile(many(10))

    pytester.runpytest_subprocess("--agb-reuse=always", *workers).assert_outcomes(passed=10)

    assert cloud.count("/mcp/createSession") == max(1, 2 * len(workers))
    assert cloud.live_sessions() == []


def test_reused_after_a_reset(pytester: pytest.Pytester, cloud: StandIn, seen: Path) -> None:
    pytester.makeconftest(
        """
        def note(what, session):
            with open("seen/log", "a") as log: print(what, session.session_id, file=log)

        def pytest_agb_session_ready(session): note("ready", session)
        def pytest_agb_session_reset(session): note("reset", session)
        """
    )
    pytester.makepyfile(many(3))

    pytester.runpytest_subprocess("--agb-reuse=reset").assert_outcomes(passed=3)

    assert (seen / "log").read_text().split("\n") == [
        "ready session-000001",
        *["reset session-000001"] * 3,
        "",
    ]


def test_what_could_not_be_reset_is_replaced_and_said(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest("def pytest_agb_session_reset(session): raise RuntimeError('it is stuck')")
    pytester.makepyfile(many(3))

    result = pytester.runpytest_subprocess("--agb-reuse=reset")

    result.assert_outcomes(passed=3, warnings=3)
    result.stdout.fnmatch_lines(
        ["*pytest_agb_session_reset*it is stuck", "*session-000001*is deleted and not leased again"]
    )
    assert cloud.count("/mcp/createSession") >= 3


def test_reset_needs_somebody_who_resets(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--agb-reuse=reset")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nothing implements pytest_agb_session_reset*conftest.py*"])


def test_used_no_more_often_than_allowed(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeini("[pytest]\nagb_max_uses = 2\n")
    pytester.makepyfile(many(5))

    pytester.runpytest_subprocess("--agb-reuse=always").assert_outcomes(passed=5)

    assert cloud.count("/mcp/createSession") == 3


def test_a_session_that_its_test_deleted_is_not_reused(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_it(agb_session, number):
            assert agb_session.get_status().success
            assert agb_session.delete().success
        """
    )
    pytester.runpytest_subprocess("--agb-reuse=always").assert_outcomes(passed=2)


def test_a_reused_session_that_ended_meanwhile_is_replaced(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(
        """
        from pytest_agb.pool import pool
        pool._TRUSTED_SECONDS = -1.0  # ask each time
        """
    )
    pytester.makepyfile(
        """
        import pathlib, time

        def test_one(agb_session): pathlib.Path("one").write_text(agb_session.session_id)

        def test_between():
            deadline = time.monotonic() + 30
            while not pathlib.Path("ended").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)

        def test_two(agb_session):
            assert agb_session.session_id != pathlib.Path("one").read_text()
            assert agb_session.get_status().success
        """
    )

    def end() -> None:
        eventually((pytester.path / "one").exists, "the first test has run")
        eventually((pytester.path / "one").read_text, "it has written")
        cloud.end_session((pytester.path / "one").read_text())
        (pytester.path / "ended").touch()

    ending = threading.Thread(target=end)
    ending.start()
    result = pytester.runpytest_subprocess("--agb-reuse=always")
    ending.join()

    result.assert_outcomes(passed=3)


def test_sessions_that_nobody_uses_are_not_kept(pytester: pytest.Pytester, cloud: StandIn) -> None:
    """A debugger left standing, say."""
    pytester.makeini("[pytest]\nagb_max_idle = 1\nagb_idle_timeout = 1\n")
    pytester.makepyfile(
        """
        import pathlib, time

        def test_one(agb_session):
            deadline = time.monotonic() + 60
            while not pathlib.Path("go").exists() and time.monotonic() < deadline: time.sleep(0.05)
            assert agb_session.get_status().success

        def test_two(agb_session): pass
        def test_three(agb_session): pass
        """
    )
    failures: list[str] = []

    def look() -> None:
        try:
            eventually(lambda: len(cloud.sessions) >= 2, "one is created ahead")
            eventually(lambda: len(cloud.live_sessions()) == 1, "it is given up")
            created = len(cloud.sessions)
            kept_alive = cloud.count("/mcp/refreshSessionIdleTime")
            eventually(
                lambda: cloud.count("/mcp/refreshSessionIdleTime") >= kept_alive + 3, "the leased one is kept"
            )
            if len(cloud.sessions) != created:
                failures.append("others were created although nobody used the first")
        except AssertionError as error:
            failures.append(str(error))
        finally:
            (pytester.path / "go").touch()

    looking = threading.Thread(target=look)
    looking.start()
    result = pytester.runpytest_subprocess()
    looking.join()

    assert failures == []
    result.assert_outcomes(passed=3)


def test_what_a_run_took_is_remembered_for_the_next(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(many(3, seconds=0.2))
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
    (cached,) = (pytester.path / ".pytest_cache").rglob("times-cloud")
    create, lease, delete = json.loads(cached.read_text())
    assert create > 0
    assert lease >= 0.2
    assert delete > 0

    cached.write_text('["nonsense"]')
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
