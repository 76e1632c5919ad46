"""`--agb-sweep`: the account's orphans are deleted before the first test, and that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.client import AGBError
from pytest_agb.environment import Account
from pytest_agb.plugin.report.progress_line import ProgressLine
from pytest_agb.plugin.stash import SETTINGS
from pytest_agb.sweep.outcome import Action, Event, Settled
from pytest_agb.sweep.selection import Selection
from pytest_agb.sweep.sweeper import sweep
from pytest_agb.wording import sessions

if TYPE_CHECKING:
    import pytest


def sweep_first(config: pytest.Config) -> None:
    """Sweep the account as `pytest-agb sweep` does; the tests run however that goes."""
    settings = config.stash[SETTINGS]
    account = Account(
        api_key=settings.api_key, endpoint=settings.endpoint, timeout_seconds=settings.timeout_seconds
    )
    line = ProgressLine(config)
    deleted = 0

    def count(event: Event) -> None:
        nonlocal deleted
        if isinstance(event, Settled) and event.action is Action.DELETED:
            deleted += 1
            line.show(f"sweeping, {sessions(deleted)} deleted")

    try:
        outcome = sweep(account, Selection(), count, delete=True)
    except AGBError as error:
        line.end(f"the sweep failed: {error}")
        return
    line.end(
        f"swept: {sessions(outcome.deleted)} deleted, {outcome.kept} kept, {len(outcome.left)} left",
        *(f"session {name} should go and is left: {reason}" for name, reason in outcome.left.items()),
    )
