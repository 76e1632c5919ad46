"""Whatever ends a run, none of its sessions stays, and nobody else's goes. A delete takes 3 s here."""

from __future__ import annotations

import os
import signal
import time

import pytest
from support.deadline import eventually
from support.suite import FOREIGN, WAITS, Suite, options
from support.variants import WORKERS_AND_SCOPES, slow_but

#: Without xdist and with it, a sandbox for each test and one for all: one pair by default, all with `-m ""`.
pytestmark = WORKERS_AND_SCOPES


@pytest.mark.parametrize(
    "ending",
    slow_but(
        lambda ending: ending in ("assert False", "raise KeyboardInterrupt", "pytest.exit('enough')"),
        ["pass", "assert False", "raise KeyboardInterrupt", "pytest.exit('enough')", "sys.exit(3)"],
    ),
)
def test_by_itself(suite: Suite, workers: list[str], scope: str, ending: str) -> None:
    suite.write(
        f"""
        def test_it(agb, agb_session, agb_session_factory, agb_image):
            from pytest_agb import CreateSessionParams
            agb_session_factory()
            agb.create(CreateSessionParams(agb_image)).check()
            {ending}
        """
    )
    output = suite.run(*options(workers, scope))

    suite.assert_nothing_left(created=3)
    assert "agb: 3 sessions created, 3 deleted, 0 kept, 0 left" in output


def test_ctrl_c(suite: Suite, workers: list[str], scope: str) -> None:
    suite.write(WAITS)
    with suite.start(*options(workers, scope)) as process:
        suite.wait_until_ready()
        suite.kill_group(process, signal.SIGINT)
    suite.assert_nothing_left()


def test_ctrl_c_twice(suite: Suite, workers: list[str], scope: str) -> None:
    """The second lets pytest go at once; the keeper finishes."""
    suite.write(WAITS)
    with suite.start(*options(workers, scope)) as process:
        suite.wait_until_ready()
        suite.kill_group(process, signal.SIGINT)
        eventually(
            lambda: process.poll() is not None or suite.service.count("/mcp/releaseSessionAsync"),
            "a session is being deleted",
        )
        suite.kill_group(process, signal.SIGINT)
        began = time.monotonic()
        process.wait(20)
        assert time.monotonic() - began < 20
    suite.assert_nothing_left()


def test_a_cancelled_ci_job(suite: Suite, workers: list[str], scope: str) -> None:
    """Interrupt, terminate, kill: with less grace than a delete takes."""
    suite.write(WAITS)
    with suite.start(*options(workers, scope)) as process:
        suite.wait_until_ready()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            suite.kill_group(process, number)
            time.sleep(0.3)
    suite.assert_nothing_left()


@pytest.mark.parametrize(
    ("number", "whole_group"),
    slow_but(
        lambda number, whole_group: number == signal.SIGKILL or whole_group == (number == signal.SIGHUP),
        [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
        [False, True],
    ),
)
def test_a_signal(
    suite: Suite, workers: list[str], scope: str, number: signal.Signals, whole_group: bool
) -> None:
    suite.write(WAITS.replace("60", "4"))  # a worker whose controller was killed lives until its test ends
    with suite.start(*options(workers, scope)) as process:
        suite.wait_until_ready()
        if whole_group:
            suite.kill_group(process, number)
        else:
            os.kill(process.pid, number)
    suite.assert_nothing_left()


def test_a_setup_that_fails_after_the_session_was_there(suite: Suite, workers: list[str], scope: str) -> None:
    suite.write(
        """
        @pytest.fixture
        def prepared(agb_session):
            raise RuntimeError("can't prepare")

        def test_it(prepared): pass
        """
    )
    suite.run(*options(workers, scope))
    suite.assert_nothing_left()


def test_ctrl_c_during_the_create(suite: Suite, workers: list[str], scope: str) -> None:
    suite.service.latency["/mcp/createSession"] = 1.5
    suite.write(WAITS)
    with suite.start(*options(workers, scope)) as process:
        eventually(lambda: suite.service.count("/mcp/createSession"), "the create was sent", seconds=60)
        suite.kill_group(process, signal.SIGINT)
    eventually(lambda: len(suite.service.sessions) > FOREIGN, "the service goes on with it, whoever asked")
    suite.assert_nothing_left()


def test_a_create_that_takes_longer_than_the_client_waits(
    suite: Suite, workers: list[str], scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_TIMEOUT_MS", "700")
    suite.service.latency["/mcp/createSession"] = 1.5
    suite.write("def test_it(agb_session): pass\n")
    suite.run(*options(workers, scope))
    suite.assert_nothing_left()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param("503", marks=pytest.mark.slow),
        "429",
        pytest.param("drop_before", marks=pytest.mark.slow),
        "drop_after",
    ],
)
def test_deletes_that_fail_for_a_while(suite: Suite, workers: list[str], scope: str, fault: str) -> None:
    suite.service.fault("/mcp/releaseSessionAsync", fault, times=3)  # type: ignore[arg-type]
    suite.write("def test_it(agb_session): pass\n")
    suite.run(*options(workers, scope))
    suite.assert_nothing_left()


@pytest.mark.parametrize("crash", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)"])
def test_a_crash(suite: Suite, workers: list[str], scope: str, crash: str) -> None:
    suite.write(
        f"""
        @pytest.mark.parametrize("number", range(4))
        def test_it(agb_session, number):
            if number in (1, 3): {crash}
        """
    )
    suite.run(*options(workers, scope))
    suite.assert_nothing_left(created=1)


def test_a_session_that_vanishes_in_use(suite: Suite, workers: list[str], scope: str) -> None:
    suite.write(WAITS.replace("60", "3"))
    with suite.start(*options(workers, scope)):
        suite.wait_until_ready()
        for session in suite.own:
            suite.service.end_session(session.session_id)
    suite.assert_nothing_left()
    assert " passed" in suite.output
    assert "error" not in suite.output
