"""CONTRIBUTING speaks of files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_file_that_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = {name for name in re.findall(r"`([\w./]+/|[\w./]+\.py)`", text) if not name.startswith("/")}
    places = [ROOT, ROOT / "pytest_agb", ROOT / "pytest_agb" / "local", ROOT / "tests" / "support"]

    missing = [name for name in sorted(named) if not any((place / name).exists() for place in places)]

    assert len(named) > 50
    assert missing == []
