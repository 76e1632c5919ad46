"""What README's first line runs passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.usefixtures("left_behind")
def test_on_two_workers(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-n2", str(ROOT / "examples"), "-p", "no:cacheprovider")

    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] >= 10
    assert set(result.parseoutcomes()) == {"passed"}


def test_readmes_first_two_blocks_are_one_line_each_and_ci_runs_the_second() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)

    for block in blocks[:2]:
        assert re.fullmatch(r"python3 -m venv \.venv && \.venv/bin/pip install [^\n]* && [^\n]*\n", block)
    assert "examples" in blocks[0]
    assert "awk" in (ROOT / ".ci" / "run").read_text()
