"""On GitHub Actions a run writes a job's summary, and a warning for what it leaves behind; nowhere else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.standin import StandIn

from pytest_agb.plugin.outlets import github
from pytest_agb.plugin.outlets.user_properties import add

SUITE = """
    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_it(agb_session, number): assert not agb_session.command.execute("say <b>`hi`</b>").success
"""


@pytest.fixture(autouse=True)
def shell(cloud: StandIn) -> None:
    cloud.tools["shell"] = lambda *_: '{"stdout": "```<b>```", "stderr": "", "exit_code": 0}'


@pytest.fixture
def summary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = pytester.path / "summary.md"
    path.write_text("of an earlier program\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


@pytest.mark.parametrize("workers", ["-n0", pytest.param("-n2", marks=pytest.mark.slow)])
def test_a_summary_has_totals_and_folded_dossiers_and_what_is_left_is_one_warning(
    pytester: pytest.Pytester,
    cloud: StandIn,
    summary: Path,
    workers: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    pytester.makeconftest(
        """
        from pytest_agb.pool import shutdown

        shutdown.DRAIN_SECONDS = 0.5
        """
    )
    pytester.makepyfile(SUITE)
    cloud.undeletable = {"session-000001"}

    result = pytester.runpytest_subprocess(workers)

    result.assert_outcomes(failed=2)
    written = summary.read_text()
    assert written.startswith("of an earlier program\n\n### AGB sessions\n")
    assert written.count("### AGB sessions") == 1
    assert written.count("<details><summary>") == written.count("</details>") == 2
    assert "(call): test failed</summary>\n\n````text\n" in written
    assert "stdout | ```&lt;b" not in written  # a code block shows what it holds as it is
    warnings = [line for line in result.outlines if line.startswith("::")]
    assert len(warnings) == 1
    assert warnings[0].startswith("::warning title=pytest-agb::1 session may be left: session-000001; ")
    assert "pytest-agb sweep --run run-" in warnings[0]


@pytest.mark.parametrize("workers", ["-n0", pytest.param("-n2", marks=pytest.mark.slow)])
def test_a_run_that_a_test_has_started_writes_nothing(
    pytester: pytest.Pytester, summary: Path, workers: str
) -> None:
    pytester.makepyfile(SUITE)

    pytester.runpytest_subprocess(workers).assert_outcomes(failed=2)

    assert summary.read_text() == "of an earlier program\n"


def test_elsewhere_nothing_is_written(
    pytester: pytest.Pytester, summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.delenv("GITHUB_ACTIONS")
    pytester.makepyfile(SUITE)

    pytester.runpytest_subprocess().assert_outcomes(failed=2)

    assert summary.read_text() == "of an earlier program\n"


def report(name: str, stdout: str) -> Any:
    owner = SimpleNamespace(user_properties=[], nodeid=name)
    call = {"number": 1, "session": "s-1", "kind": "command", "phase": "call", "args": {}, "success": True}
    call |= {"seconds": 0.1, "request_id": "", "stdout": stdout, "stderr": "", "error": "", "exit_code": 0}
    dossier = {
        "phase": "call",
        "verdict": "test failed",
        "why": "",
        "next": "",
        "refused": [],
        "sessions": [],
    }
    add(cast(Any, owner), cast(Any, owner), {**dossier, "calls_left_out": 0, "calls": [call]})
    return owner


def test_a_summary_stays_under_one_mebibyte_and_says_what_had_no_room(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * 500_000)

    assert (
        github.write_summary(str(path), [report(f"test_{n}", "y" * 8_000) for n in range(200)], ["all"]) == ""
    )

    assert path.stat().st_size < 1 << 20
    written = path.read_text()
    assert "test_0 (call)" in written
    left_out = 200 - written.count("<details>")
    assert left_out > 0
    assert f"\n{left_out} more that had no room here are in the log.\n" in written


def test_a_summary_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (line,) = github.tell(str(tmp_path), [], ["agb: totals"], "")

    assert line.startswith("agb: the job summary could not be written: ")


def test_a_warning_is_one_line() -> None:
    assert github.warning("50% left\nof it") == "::warning title=pytest-agb::50%25 left%0Aof it"
