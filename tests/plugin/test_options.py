"""README names every option, and no other; a default that depends on where the run is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_agb.plugin.options import OPTIONS, remember_level, resolve

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


def test_what_the_account_had_room_for_is_remembered_until_there_is_more(
    pytester: pytest.Pytester, temp_directory: Path
) -> None:
    config = pytester.parseconfigure()
    account = {"AGB_API_KEY": "ako-1"}
    pytester.chdir()

    def level() -> int | None:
        config.option.agb_backend = "cloud"
        return resolve(config, account).level

    assert level() is None
    remember_level(config, None, 7)
    assert level() == 7
    remember_level(config, 7, 7)
    assert level() == 7
    remember_level(config, 7, None)
    assert level() is None
    for damaged in ("7", 0, True, -1, [7]):
        assert config.cache is not None
        config.cache.set("agb/level", damaged)
        assert level() is None
