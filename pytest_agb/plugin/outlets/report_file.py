"""The file that ``--agb-report`` names: what failed, and what all of it cost. See docs/dossier.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb.plugin.outlets import user_properties
from pytest_agb.plugin.stash import SETTINGS
from pytest_agb.store import history

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from pytest_agb.pool.shutdown import Summary

#: Raised by whatever a reader of the former one would not understand.
SCHEMA_VERSION = 1


class ReportFile:
    """A plugin of the controller, where that is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dossiers: list[Mapping[str, Any]] = []
        self._problem = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a failure tells."""
        if report.failed:
            dossier = user_properties.dossier_of(report)
            if dossier is not None:
                self._dossiers.append(dossier)

    # Once the end of the run has been waited for, and before the terminal's last lines.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Write the file."""
        yield
        text = json.dumps(self._content(session.config), indent=1)
        try:
            self._path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            self._problem = f"agb: --agb-report: {self._path} can't be written: {error}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what went wrong."""
        if self._problem:
            terminalreporter.write_line(self._problem)

    def _content(self, config: pytest.Config) -> dict[str, Any]:
        settings = config.stash[SETTINGS]
        reporter = config.pluginmanager.get_plugin("agb-summary")  # there is none where no session was used
        summary: Summary | None = getattr(reporter, "summary", None)
        cost = summary.cost if summary else None
        return {
            "schema_version": SCHEMA_VERSION,
            "run": settings.run_id,
            "backend": settings.backend,
            "images": list(settings.images),
            "sessions": {
                "created": summary.created if summary else 0,
                "deleted": summary.deleted if summary else 0,
                "kept": list(summary.kept) if summary else [],
                "left": list(summary.left_behind) if summary else [],
            },
            "cost": None if cost is None else history.as_json(cost),
            "failures": self._dossiers,
        }
