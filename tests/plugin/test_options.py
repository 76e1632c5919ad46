"""README names every option, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_agb.plugin.options import OPTIONS

README = Path(__file__).parents[2] / "README.md"


def test_readme_has_a_row_for_each_option_and_its_ini_twin() -> None:
    rows = re.findall(r"^\| (?:`(--agb-[a-z-]+)[^`]*`)? ?\| `(agb_[a-z_]+)` \|", README.read_text(), re.M)

    assert {ini: flag for flag, ini in rows} == {
        option.ini: "" if option.ini_only else option.flag for option in OPTIONS
    }
