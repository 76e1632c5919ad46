"""pytest-html: what a failed test's row links to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_agb.dossier import text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import pytest


def add(config: pytest.Config, report: pytest.TestReport, dossier: Mapping[str, Any]) -> None:
    """Add the dossier as text and as JSON, where a report of pytest-html is being made."""
    if not config.pluginmanager.hasplugin("html") or not config.getoption("htmlpath", None):
        return
    from pytest_html import extras

    sessions = ", ".join(session["id"] for session in dossier["sessions"]) or "none"
    added = [
        extras.text(text.render(dossier), name=f"AGB session {sessions}"),
        extras.json(json.dumps(dossier, indent=2), name="AGB dossier"),
    ]
    report.extras = [*getattr(report, "extras", []), *added]  # type: ignore[attr-defined]  # pytest-html's
