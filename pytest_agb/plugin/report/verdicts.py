"""How many of the failures were the sandboxes', and not the tests'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.dossier import verdict
from pytest_agb.plugin.outlets import user_properties

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def lines(failures: Sequence[pytest.TestReport]) -> list[str]:
    """Say so in a line, if any test has lost its sandbox; a test may have failed more than once."""
    lost = {report.nodeid for report in failures if user_properties.verdict_of(report) == verdict.LOST}
    if not lost:
        return []
    failed = len({report.nodeid for report in failures})
    return [
        f"agb: {failed} failed, {len(lost)} of them lost their sandbox (SessionLostError): try these again"
    ]
