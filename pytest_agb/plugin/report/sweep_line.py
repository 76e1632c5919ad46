"""`--agb-sweep`: the account's orphans are deleted before the first test, and that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.client import AGBError
from pytest_agb.environment import Account
from pytest_agb.plugin.report.summary import sessions
from pytest_agb.sweep.outcome import Action, Event, Settled
from pytest_agb.sweep.selection import Selection
from pytest_agb.sweep.sweeper import sweep

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_agb.settings import Settings


def sweep_first(settings: Settings, reporter: TerminalReporter | None) -> None:
    """Sweep the account as `pytest-agb sweep` does; the tests run however that goes."""
    account = Account(
        api_key=settings.api_key, endpoint=settings.endpoint, timeout_seconds=settings.timeout_seconds
    )
    view = _View(reporter)
    try:
        outcome = sweep(account, Selection(), view.event, delete=True)
    except AGBError as error:
        view.say(f"the sweep failed: {error}")
        return
    view.say(f"swept: {sessions(outcome.deleted)} deleted, {outcome.kept} kept, {len(outcome.left)} left")
    for session_id, reason in outcome.left.items():
        view.say(f"session {session_id} should go and is left: {reason}")


class _View:
    """One line that counts, on a terminal; what is said in the end, everywhere."""

    def __init__(self, reporter: TerminalReporter | None) -> None:
        self._reporter = reporter
        self._deleted = 0

    def event(self, event: Event) -> None:
        if isinstance(event, Settled) and event.action is Action.DELETED:
            self._deleted += 1
            if self._reporter is not None and self._reporter.isatty:
                self._reporter.rewrite(f"agb: sweeping, {sessions(self._deleted)} deleted ", erase=True)

    def say(self, line: str) -> None:
        if self._reporter is not None:
            if self._deleted and self._reporter.isatty:
                self._reporter.rewrite("", erase=True)
            self._deleted = 0
            self._reporter.write_line(f"agb: {line}")
