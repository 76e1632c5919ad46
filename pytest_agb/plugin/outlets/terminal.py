"""The terminal, and all that takes its words from there: JUnit XML's text, pytest-json-ctrf's trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.client import AGBError
from pytest_agb.dossier import text, verdict
from pytest_agb.plugin import pytest_internals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import pytest

SECTION = "AGB session"


def show(report: pytest.TestReport, dossier: Mapping[str, Any], error: BaseException) -> None:
    """Add the section, and have the line of the short summary begin with the cause."""
    pytest_internals.add_section(report, SECTION, text.render(dossier))
    if dossier["verdict"] == verdict.LOST:
        pytest_internals.put_first(report, f"SessionLostError: {dossier['why']}", keep=True)
    elif isinstance(error, AGBError):
        pytest_internals.put_first(report, f"{type(error).__name__}: {error.headline}", keep=False)
