"""A failed test's dossier: gathered, and handed to each place that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.client import AGBError, SessionLostError
from pytest_agb.dossier import picture, verdict
from pytest_agb.plugin import leased_session, pytest_internals, scopes, told
from pytest_agb.plugin.outlets import html, terminal, user_properties
from pytest_agb.plugin.stash import SETTINGS

if TYPE_CHECKING:
    import pytest

    from pytest_agb.dossier.journal import Journal


def hide_our_frames(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Have the traceback of an error of ours end where the test called us."""
    if isinstance(excinfo.value, AGBError):
        pytest_internals.leave_out_frames(excinfo, "pytest_agb")


def tell(
    item: pytest.Item,
    excinfo: pytest.ExceptionInfo[BaseException],
    report: pytest.TestReport,
    journal: Journal,
) -> None:
    """Have a failed test's report tell of its sessions, if it has used or asked for any."""
    shared = leased_session.of(item) if scopes.names(item, scopes.LEASING) else []
    for leased in shared:
        if why := leased.why_dead():  # perhaps it is the keeper that has noticed
            journal.died(leased.session.session_id, why)
    ids = [leased.session.session_id for leased in shared]
    if not journal.has_something(ids):
        return
    settings = item.config.stash[SETTINGS]
    error = excinfo.value
    dossier = picture.of_failure(journal, settings, error=error, phase=str(report.when), shared=ids)
    if not item.stash.get(told.ELSEWHERE, False):
        terminal.show(report, dossier, error)
    user_properties.add(item, report, dossier)
    html.add(item.config, report, dossier)
    if dossier["verdict"] == verdict.LOST:
        _say_so_in_chain(error, dossier["why"])


def _say_so_in_chain(error: BaseException, why: str) -> None:
    """End an exception's chain of causes in a `SessionLostError`, by whose name pytest-rerunfailures reruns.

    Its report is made by now, so that no person reads it twice.
    """
    *_, last = verdict.chain(error)
    if type(last) is not SessionLostError:
        last.__cause__ = SessionLostError(why)
