"""``--agb-report`` writes a file with what failed and what all of it cost, by its documented form."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.standin import StandIn

ROOT = Path(__file__).parents[3]
SUITE = """
    def test_passes(agb_session): agb_session.command.execute("true").check()

    def test_fails(agb_session):
        agb_session.command.execute("true", envs={"TOKEN": "sesame-1234"})
        assert agb_session is None
"""


def documented(heading: str) -> set[str]:
    """The fields that a table of docs/dossier.md names in its first column."""
    text = (ROOT / "docs" / "dossier.md").read_text().partition(heading)[2]
    table = text[text.index("|---|") :].partition("\n\n")[0]
    return {name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.fixture(autouse=True)
def shell(cloud: StandIn) -> None:
    cloud.tools["shell"] = lambda *_: '{"stdout": "", "stderr": "", "exit_code": 0}'


def written(pytester: pytest.Pytester) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pytester.path / "report.json").read_text())
    assert found.keys() == documented("--agb-report=FILE.json")
    assert found["schema_version"] == 1
    return found


@pytest.mark.parametrize("workers", ["-n0", pytest.param("-n2", marks=pytest.mark.slow)])
def test_it_has_failures_and_costs_and_the_end_says_them_too(
    pytester: pytest.Pytester, cloud: StandIn, workers: str
) -> None:
    pytester.makepyfile(SUITE)
    cloud.latency["/mcp/createSession"] = 1.0

    result = pytester.runpytest_subprocess("--agb-report=report.json", "-v", workers)

    result.assert_outcomes(passed=1, failed=1)
    found = written(pytester)
    (dossier,) = found["failures"]
    assert dossier.keys() == documented("A dossier is an object")
    assert dossier["test"].endswith("::test_fails")
    assert "sesame" not in json.dumps(found)
    assert found["sessions"] == {"created": 2, "deleted": 2, "kept": [], "left": []}
    cost = found["cost"]
    assert {row["test"].rpartition("::")[2] for row in cost["tests"]} == {"test_passes", "test_fails"}
    assert cost["used_seconds"] == pytest.approx(sum(row["seconds"] for row in cost["tests"]), abs=0.01)
    assert 1 <= cost["most_at_once"] <= 2
    result.stdout.re_match_lines(
        [
            r"agb: slowest waits:",
            r" +\d+\.\d\d s  .*::test_\w+",
            r"agb: costliest tests:",
            r" +\d+\.\d\d s  .*::test_\w+",
            r"agb: 2 sessions created, 2 deleted, 0 kept, 0 left",
        ]
    )
    (line,) = [line for line in result.outlines if "sandbox-minutes" in line]
    assert re.fullmatch(
        r"agb: \d+\.\d\d sandbox-minutes used, \d+\.\d\d idle; at most [12] at once; longest wait \d+\.\d s",
        line,
    )


def test_a_run_without_sessions_has_one_too_and_a_place_that_is_not_there_is_refused_at_once(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_it(): pass")

    pytester.runpytest_subprocess("--agb-report=report.json").assert_outcomes(passed=1)
    assert (written(pytester)["cost"], written(pytester)["failures"]) == (None, [])

    result = pytester.runpytest_subprocess("--agb-report=none/report.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--agb-report: there is no directory */none"])


def test_a_file_that_can_not_be_written_is_told(pytester: pytest.Pytester) -> None:
    pytester.mkdir("report.json")
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest_subprocess("--agb-report=report.json")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: --agb-report: *report.json can't be written: *"])
