"""Every session is created with labels that tell whose it is, and the user's besides."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from support.standin import StandIn
from support.variants import slow_but

from pytest_agb.environment import ci_run

SUITE = """
    import json, os, pathlib

    from pytest_agb import CreateSessionParams

    def labels(session):
        return session.get_labels(include_reserved=True).check().data

    def test_all_three(agb, agb_session, agb_session_factory):
        params = CreateSessionParams("agb-code-space-1", labels={"from": "client"})
        sessions = {
            "session": agb_session,
            "factory": agb_session_factory(labels={"from": "factory"}),
            "client": agb.create(params).check().session,
        }
        seen = {name: labels(session) for name, session in sessions.items()}
        pathlib.Path(os.environ["SEEN"], "labels.json").write_text(json.dumps(seen))
"""


def test_whichever_fixture_creates_them(pytester: pytest.Pytester, cloud: StandIn, seen: Path) -> None:
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess("--agb-labels=project=demo,environment=testing", "--agb-run-id=x")

    result.assert_outcomes(passed=1)
    found = json.loads((seen / "labels.json").read_text())
    assert len(found) == 3
    run_id = re.search(r"run (x-\w{8})", result.stdout.str())
    assert run_id
    for labels in found.values():
        assert labels["created_by"] == "pytest-agb"
        assert labels["agb_run"] == run_id.group(1)
        assert labels["project"] == "demo"
        assert labels["environment"] == "testing"
        assert 0 <= time.time() - int(labels["agb_created"]) <= 60
        # 30 minutes of life + 10 minutes for clocks that differ.
        assert int(labels["agb_expires"]) - int(labels["agb_created"]) == 2400
        assert "agb_ci_run" not in labels
    assert len({labels["agb_slot"] for labels in found.values()}) == 3
    assert found["factory"]["from"] == "factory"
    assert found["client"]["from"] == "client"


def test_labels_are_merged_marker_over_command_line_over_ini(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makeini("[pytest]\nagb_labels =\n    a=ini, b=ini\n    c=ini\n    d=ini\n")
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.agb(labels={"c": "module", "d": "module"})

        @pytest.mark.agb(labels={"d": "test"})
        def test_it(agb_session):
            assert agb_session.get_labels().data == {"a": "ini", "b": "command", "c": "module", "d": "test"}
        """
    )
    pytester.runpytest_subprocess("--agb-labels=b=command").assert_outcomes(passed=1)


def test_set_labels_in_a_test_keeps_the_runs(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        def test_it(agb_session, agb):
            before = agb_session.get_labels(include_reserved=True).data
            agb_session.set_labels({"phase": "done"}).check()
            recovered = agb.get(agb_session.session_id).check().session
            recovered.set_labels({"phase": "over"}).check()
            after = agb_session.get_labels(include_reserved=True).data
            assert after == {**before, "phase": "over"}
            assert agb_session.get_labels().data == {"phase": "over"}

        def test_reserved(agb_session):
            for key in ("created_by", "agb_run", "agb_slot", "agb_created", "agb_expires", "agb_ci_run"):
                result = agb_session.set_labels({key: "mine"})
                assert not result.success
                assert key in result.error_message
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "max_lifetime", slow_but(lambda seconds: seconds in (60, 86400), [60, 600, 1800, 86400])
)
def test_a_sweep_of_what_is_old_spares_a_new_session_whatever_its_maximum_lifetime(
    pytester: pytest.Pytester, cloud: StandIn, max_lifetime: int
) -> None:
    pytester.makeini(f"[pytest]\nagb_max_lifetime = {max_lifetime}\n")
    pytester.makepyfile(
        f"""
        import subprocess, sys

        def test_it(agb_session):
            labels = agb_session.get_labels(include_reserved=True).check().data
            assert int(labels["agb_expires"]) - int(labels["agb_created"]) == {max_lifetime} + 600

            sweep = [sys.executable, "-m", "pytest_agb", "sweep", "--older-than", "15m"]
            swept = subprocess.run(sweep, capture_output=True, text=True)

            assert swept.stderr == ""
            assert swept.stdout.startswith("0 sessions deleted, ")
            assert agb_session.get_status().success
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "2"}, "github-77-2"),
        ({"GITLAB_CI": "true", "CI_PIPELINE_ID": "1234"}, "gitlab-1234-1"),
        ({"JENKINS_URL": "https://ci", "BUILD_TAG": "jenkins-job/name-7"}, "jenkins-jenkins-job-name-7-1"),
        ({"CIRCLECI": "true", "CIRCLE_WORKFLOW_ID": "ab-cd"}, "circleci-ab-cd-1"),
        ({"BUILDKITE": "true", "BUILDKITE_BUILD_ID": "ef-01"}, "buildkite-ef-01-1"),
        ({"TF_BUILD": "True", "BUILD_BUILDID": "9", "SYSTEM_STAGEATTEMPT": "3"}, "azure-9-3"),
        ({"GITHUB_RUN_ID": "77"}, None),
        ({}, None),
    ],
)
def test_a_ci_run_has_a_name(environ: dict[str, str], expected: str | None) -> None:
    assert ci_run(environ) == expected


def test_on_ci_sessions_carry_it(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    pytester.makepyfile(
        """
        def test_it(agb_session):
            assert agb_session.get_labels(include_reserved=True).data["agb_ci_run"] == "github-77-2"
        """
    )
    pytester.runpytest_subprocess("-n2").assert_outcomes(passed=1)
