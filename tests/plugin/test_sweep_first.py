"""`--agb-sweep` deletes the account's orphans before the first test, and nothing else."""

from __future__ import annotations

import time

import pytest
from support.standin import StandIn


@pytest.fixture
def orphan(cloud: StandIn) -> str:
    return cloud.add_session(
        {"created_by": "pytest-agb", "agb_run": "run-dead", "agb_expires": str(int(time.time()) - 60)}
    )


@pytest.fixture
def others(cloud: StandIn) -> set[str]:
    in_use = {"created_by": "pytest-agb", "agb_run": "run-live", "agb_expires": str(int(time.time()) + 600)}
    return {cloud.add_session({"project": "x"}), cloud.add_session(in_use)}


def live(cloud: StandIn) -> set[str]:
    return {session.session_id for session in cloud.live_sessions()}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(["--agb-sweep"], marks=pytest.mark.slow),
        ["-o", "agb_sweep=true"],
        ["--agb-sweep", "-n2"],
    ],
)
def test_orphans_go_before_the_first_test(
    pytester: pytest.Pytester, cloud: StandIn, orphan: str, others: set[str], how: list[str]
) -> None:
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest_subprocess(*how)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: swept: 1 session deleted, 1 kept, 0 left", "*.*[[]100%[]]"])
    assert live(cloud) == others


@pytest.mark.parametrize("how", [[], ["--agb-sweep", "--collect-only"], ["--agb-sweep", "--setup-plan"]])
def test_nothing_is_asked_for_where_nothing_runs(
    pytester: pytest.Pytester, cloud: StandIn, orphan: str, how: list[str]
) -> None:
    pytester.makepyfile("def test_it(): pass")

    pytester.runpytest_subprocess(*how)

    assert cloud.requests == []


def test_a_sweep_that_fails_is_said_and_the_tests_run(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", "ako-wrong-one")
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest_subprocess("--agb-sweep")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: the sweep failed: *API key*"])
    assert "ako-wrong-one" not in result.stdout.str()


def test_a_value_that_is_neither_true_nor_false(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-o", "agb_sweep=maybe")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ini value agb_sweep: 'maybe' is neither true nor false*"])
