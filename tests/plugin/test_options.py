"""README names every option, and no other; a default that depends on where the run is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_agb.plugin.options import OPTIONS, resolve

README = Path(__file__).parents[2] / "README.md"


def test_readme_has_a_row_for_each_option_and_its_ini_twin() -> None:
    rows = re.findall(r"^\| (?:`(--agb-[a-z-]+)[^`]*`)? ?\| `(agb_[a-z_]+)` \|", README.read_text(), re.M)

    assert {ini: flag for flag, ini in rows} == {
        option.ini: "" if option.ini_only else option.flag for option in OPTIONS
    }


def test_the_end_waits_longer_where_the_machine_may_go_with_the_job(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS")
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7"}

    assert resolve(pytester.parseconfig(), {}).end_timeout == 1
    assert resolve(pytester.parseconfig(), ci).end_timeout == 30
    assert resolve(pytester.parseconfig("--agb-end-timeout=0"), ci).end_timeout == 0
