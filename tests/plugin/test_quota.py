"""An account with little room is waited for, not failed on; what is hopeless ends at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from support.deadline import eventually
from support.many_tests import many, most_at_once
from support.standin import StandIn


@pytest.mark.slow
def test_an_account_for_three_runs_a_suite_on_eight_workers(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    cloud.max_sessions = 3
    cloud.delete_seconds = 0.2
    pytester.makepyfile(many(24, seconds=0.05))

    result = pytester.runpytest_subprocess("-n8")

    result.assert_outcomes(passed=24)
    assert most_at_once(cloud) <= 3
    assert cloud.live_sessions() == []


def test_a_job_that_holds_nothing_waits_while_another_holds_all(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    cloud.max_sessions = 2
    others = [cloud.add_session({"job": "another"}) for _ in range(2)]
    pytester.makepyfile(many(3))

    def free() -> None:
        eventually(lambda: cloud.count("/mcp/createSession") >= 2, "the job has tried again", seconds=120)
        for session in others:
            cloud.end_session(session)

    freeing = threading.Thread(target=free)
    freeing.start()
    result = pytester.runpytest_subprocess()
    freeing.join()

    result.assert_outcomes(passed=3)


def test_what_the_service_says_is_in_the_error_of_whoever_waited_in_vain(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    cloud.max_sessions = 0
    pytester.makeini("[pytest]\nagb_wait_timeout = 2\n")
    pytester.makepyfile(many(1))

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "no AGB session: no session was free within 2 s (agb_wait_timeout): "
            "the service has no room: *quota of 0*"
        ]
    )


@pytest.mark.slow
def test_five_hundred_tests_with_a_wrong_key_end_in_seconds(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", "ako-wrong-one")
    pytester.makepyfile(many(500))
    began = time.monotonic()

    result = pytester.runpytest_subprocess("-q", "--tb=line")

    result.assert_outcomes(errors=500)
    assert time.monotonic() - began < 120, "tests wait one by one for what was refused"
    assert cloud.count("/mcp/createSession") <= 2


@pytest.mark.slow
def test_two_runs_share_an_account_for_two(pytester: pytest.Pytester, cloud: StandIn) -> None:
    """Each holds one at least now and then, so that both come to their end."""
    cloud.max_sessions = 2
    pytester.makepyfile(many(6, seconds=0.05))
    command = [sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider"]
    runs = [
        subprocess.Popen(
            command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=120)[0] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], outputs
    assert most_at_once(cloud) <= 2
