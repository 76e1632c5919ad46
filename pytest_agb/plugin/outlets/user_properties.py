"""A report's properties: they survive xdist, and reach JUnit XML and pytest-reportlog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_agb.plugin.stash import DOSSIER, PROPERTIES, SESSION, VERDICT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import pytest


def add(item: pytest.Item, report: pytest.TestReport, dossier: Mapping[str, Any]) -> None:
    """Add them to a report, and to the test's later ones: JUnit takes them from that of its teardown."""
    properties: list[tuple[str, object]] = [(SESSION, session["id"]) for session in dossier["sessions"]]
    properties += [(VERDICT, dossier["verdict"]), (DOSSIER, json.dumps(dossier))]
    for owner in (item, report):  # an earlier failure of the same test has left its own
        owner.user_properties[:] = [pair for pair in owner.user_properties if pair[0] not in PROPERTIES]
        owner.user_properties += properties


def verdict_of(report: pytest.TestReport) -> str:
    """What a failure was, see `pytest_agb.dossier.verdict`; empty where no session was used."""
    return str(_of(report).get(VERDICT, ""))


def dossier_of(report: pytest.TestReport) -> Mapping[str, Any] | None:
    """The dossier of a failure; ``None`` where no session was used."""
    found = _of(report).get(DOSSIER)
    return None if found is None else dict(json.loads(str(found)))


def _of(report: pytest.TestReport) -> dict[str, object]:
    return dict(getattr(report, "user_properties", ()))  # a file that can't be collected has none
