"""What a run may cost: once that is spent, nothing more is created, and tests that ask are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.client import BudgetError
from pytest_agb.store import history

if TYPE_CHECKING:
    from pytest_agb.settings import Settings
    from pytest_agb.store.state import State


class Budget:
    """The sandbox-minutes that a run may use on this host, if that is bounded."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._minutes = settings.budget_minutes
        self._spent = False

    def look(self) -> None:
        """See whether it is spent. That is remembered as a refusal of the account's, for all who ask."""
        if self._minutes is not None and not self._spent:
            self._look(self._minutes)
        if self._spent:
            for slot in self._state.slots.left():
                self._state.slots.give_up(slot.slot, "the run's budget is spent")

    def _look(self, minutes: float) -> None:
        cost = history.read(self._state.database)
        if cost.used + cost.idle < 60 * minutes:
            return
        self._spent = True
        self._state.refusals.remember(
            BudgetError(
                f"the run has spent its {minutes:g} sandbox-minutes (agb_budget_minutes): "
                f"{cost.used / 60:.2f} used and {cost.idle / 60:.2f} idle"
            ),
            image="",
        )
