"""With pytest-rerunfailures, which runs a failed test again."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from support.standin import StandIn, StandInSession
from support.suite import USE, Suite, uses


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_a_rerun_gets_a_new_session(suite: Suite, workers: list[str]) -> None:
    """A sandbox that a failed test has used may be what made it fail."""
    suite.write(
        USE
        + """
    def test_it(agb_session):
        use(agb_session, "it")
        assert len(list(SEEN.iterdir())) == 2
    """
    )

    output = suite.run("--reruns=1", *workers)

    assert "1 passed, 1 rerun" in output
    assert len(uses(suite)) == 2
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


def test_a_rerun_after_a_failed_setup_deletes_what_the_setup_had(suite: Suite) -> None:
    suite.write(
        USE
        + """
    @pytest.fixture
    def prepared(agb_session):
        use(agb_session, "setup")
        assert len(list(SEEN.iterdir())) == 2

    def test_it(prepared): pass
    """
    )

    output = suite.run("--reruns=1")

    assert "1 passed, 1 rerun" in output
    assert len(uses(suite)) == 2
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


# What a forked test did is told by its files: pytest-forked 1.7.5 can't send pytest 9.2's reports, and says
# of each test that it crashed.


def test_each_failed_attempt_is_kept_where_tests_are_rerun(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        attempts = []

        def test_it(agb_session):
            attempts.append(agb_session)
            assert len(attempts) == 3
        """
    )
    result = pytester.runpytest_subprocess("--agb-keep-failed", "--reruns=2")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: 3 sessions created, 1 deleted, 2 kept, 0 left"])


def test_each_attempt_tells_its_own_and_only_a_lost_sandbox_is_tried_again(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    def shell(session: StandInSession, args: dict[str, Any]) -> str:
        if args["command"] == "die":
            cloud.end_session(session.session_id)
        return '{"stdout": "", "stderr": "", "exit_code": 0}'

    cloud.tools["shell"] = shell
    pytester.makepyfile(
        """
        raised, seen = [], []

        def lose(agb_session, attempts):
            attempts.append(agb_session.session_id)
            agb_session.command.execute(f"attempt {len(attempts)}").check()
            if len(attempts) < 3: agb_session.command.execute("die")

        def test_raised(agb_session):
            lose(agb_session, raised)
            agb_session.command.execute("true").check()

        def test_seen_in_an_assertion(agb_session):
            lose(agb_session, seen)
            assert agb_session.command.execute("true").success
            assert [call.command for call in agb_session.calls] == ["attempt 3", "true"]
            assert False, "at last"

        def test_wrong(agb_session):
            assert agb_session.command.execute("true").output == "something else"
        """
    )
    result = pytester.runpytest_subprocess(
        "--reruns=5", "--only-rerun=SessionLostError", "-p", "no:randomly", "--junitxml=report.xml", "-rR"
    )

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*, 4 rerun in *"])
    report = ElementTree.parse(pytester.path / "report.xml")
    cases = {case.get("name"): case for case in report.iter("testcase")}
    assert [it.get("name") for it in cases["test_raised"].iter("property")] == []
    (dossier,) = [
        json.loads(str(it.get("value")))
        for it in cases["test_seen_in_an_assertion"].iter("property")
        if it.get("name") == "agb_dossier"
    ]
    assert [call["args"]["command"] for call in dossier["calls"]] == ["attempt 3", "true"]
    assert dossier["verdict"] == "test failed"
