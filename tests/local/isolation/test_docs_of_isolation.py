"""docs/isolation.md has what refusals say and what limits are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_agb import namespace_signs
from pytest_agb.local.isolation import choose
from pytest_agb.local.limits.rlimits import Limits

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "isolation.md").read_text(encoding="utf-8")


def test_each_setting_that_forbids_is_there_with_the_command_that_lifts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace_signs, "_PROC", tmp_path)
    for setting in namespace_signs.SETTINGS:
        file = tmp_path / "sys" / setting.name.replace(".", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(setting.forbidding))
        obstacle = choose._switched_off()
        assert obstacle is not None
        assert f"`{obstacle.remedy}`" in PAGE
        file.unlink()
    assert f"`{choose.DOCKER_OPTIONS}`" in PAGE


def test_the_example_of_a_header_is_what_a_header_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_landlock", lambda: (None, ("files", "network", "signals")))
    assert f"agb: {choose.notice('landlock')}\n" in PAGE


def test_the_limits_are_those_that_hold() -> None:
    limits = Limits()
    assert (limits.memory_bytes, limits.storage_bytes, limits.file_bytes) == (1 << 30, 1 << 30, 1 << 30)
    assert limits.process_memory_bytes == 4 << 30
    assert f"| 1 GiB, {limits.files:,} files |" in PAGE
    assert f"| processes | {limits.processes} |" in PAGE
    assert f"from {2 * limits.processes} on" in PAGE


def test_the_readme_leads_there() -> None:
    assert "[docs/isolation.md](docs/isolation.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
