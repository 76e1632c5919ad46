"""Waiting for a session: until it is there, or it is known that it will not be, or for long enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb import real
from pytest_agb.client import AGBError, AGBTimeoutError, BudgetError, QuotaError
from pytest_agb.run.members import Name
from pytest_agb.store import error_text, session_spec
from pytest_agb.store.facts import Fact
from pytest_agb.store.slots import Slot, SlotState

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.pool.joined_run import JoinedRun
    from pytest_agb.settings import Settings

#: What is said of a refusal that an earlier test had.
REMEMBERED = "the answer to an earlier test of this run"
#: Between two looks at what others have written: a look takes microseconds.
_POLL_SECONDS = 0.01
#: Between two looks at whether the keeper lives.
_LOOK_SECONDS = 0.25


class Acquisition:
    """One process's waiting for one session."""

    def __init__(
        self,
        process: JoinedRun,
        settings: Settings,
        wanted: str,
        on_wait: Callable[[float, str, bool], None],
    ) -> None:
        self._process = process
        self._settings = settings
        self._state = process.state
        self._wanted = wanted
        self._image = session_spec.image(wanted)
        self._on_wait = on_wait

    def run(self, *, user: str, unit: str) -> Slot:
        """Claim a session, as soon as there is one.

        Raises:
            AGBError: there will be none, or not in time.
        """
        self._raise_if_refused()
        self._connect()
        claimed = self._state.waiters.ask(
            self._wanted, member=self._process.member.name, user=user, unit=unit
        )
        if isinstance(claimed, Slot):
            return claimed
        try:
            return self._wait(claimed)
        finally:
            self._state.waiters.withdraw(claimed)

    def _connect(self) -> None:
        """See to it that there are a backend and a keeper."""
        try:
            self._process.client()
        except AGBError as error:
            # A local server or a keeper that did not start this time may do so for the next test.
            self._state.refusals.remember(error, self._image)
            raise

    def _raise_if_refused(self) -> None:
        refused = self._state.refusals.find(self._image)
        if refused is not None:
            error = error_text.read(refused)
            if isinstance(error, BudgetError):  # nobody's answer
                raise error
            raise error_text.read(refused, REMEMBERED)

    def _wait(self, want: int) -> Slot:
        began = real.boot_seconds()
        next_look = began + _LOOK_SECONDS
        seen = -1
        while True:
            version = self._state.database.version()
            if version != seen:
                seen = version
                slot = self._state.waiters.claim(want)
                if slot is not None:
                    return slot
                self._raise_if_hopeless(want)
            now = real.boot_seconds()
            if now >= next_look:
                next_look = now + _LOOK_SECONDS
                self._process.ensure_keeper()
                standstill = self._process.keeper().standstill()
                self._on_wait(now - began, standstill or self._what_for(), bool(standstill))
            if now - began > self._settings.wait_timeout:
                raise self._timeout()
            real.sleep(_POLL_SECONDS)

    def _raise_if_hopeless(self, want: int) -> None:
        error = self._state.waiters.error(want)
        if error is not None:
            raise error_text.read(error)
        refused = self._state.refusals.find(self._image)
        if refused is not None:
            raise error_text.read(refused)
        most = self._settings.max_sessions
        if most is not None and len(self._held(self._process.member.name)) >= most:
            raise QuotaError(
                f"this process itself holds all {most} sessions that --agb-max-sessions allows",
                hint=f"Raise --agb-max-sessions, or use fewer sessions at once; it holds {self._holders()}",
            )

    def _held(self, member: str = "") -> list[Slot]:
        slots = self._state.slots.left()
        leased = [slot for slot in slots if slot.state is SlotState.LEASED]
        return [slot for slot in leased if member in ("", slot.member)]

    def _what_for(self) -> str:
        no_room = self._state.facts.get(Fact.NO_ROOM)
        if no_room:
            return f"the service has no room: {no_room}"
        held, most = len(self._held()), self._settings.max_sessions
        ending = sum(slot.state is SlotState.DELETING for slot in self._state.slots.left())
        if most is not None and held + ending >= most:
            return f"{held} of {most} sessions are in use" + (f", {ending} being deleted" if ending else "")
        return "one is being created"

    def _holders(self) -> str:
        now = self._state.clock()
        held = [
            f"{slot.session_id} by {Name.parse(slot.member).shown} for {now - slot.leased_at:.0f} s"
            + (f" ({slot.user})" if slot.user else "")
            for slot in self._held()
        ]
        return ", ".join(held) or "none"

    def _timeout(self) -> AGBTimeoutError:
        waited = self._settings.wait_timeout
        return AGBTimeoutError(
            f"no session was free within {waited:g} s (agb_wait_timeout): "
            f"{self._process.keeper().standstill() or self._what_for()}",
            hint=f"Sessions in use: {self._holders()}",
        )
