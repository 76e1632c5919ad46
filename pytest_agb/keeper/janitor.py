"""The keeper's care for what was created: keeping alive, finding what was lost, deleting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pytest_agb.client import AGBError, NotFoundError, Session
from pytest_agb.keeper.finder import Finder, Look
from pytest_agb.store.slots import Slot, SlotState, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_agb.client import AGB, DeleteResult, OperationResult
    from pytest_agb.keeper.jobs import Jobs
    from pytest_agb.run.ownership import Ownership
    from pytest_agb.store.state import State

Result = TypeVar("Result")


@dataclass(frozen=True)
class JanitorSettings:
    """Durations in seconds."""

    #: To look for the session of a create whose answer was lost, from then on: labels show up late, and
    #: listings are half a minute old.
    lost_seconds: float = 120.0
    #: The same, where the service does not answer whether there is such a session, and looks for it at the
    #: least: a machine that has slept for longer has not asked for longer.
    unanswered_seconds: float = 300.0
    unanswered_looks: int = 8
    #: That whoever waits for such a session waits for it to show up: if the service answers that there is
    #: none, and at the most.
    absent_seconds: float = 0.5
    adopt_seconds: float = 10.0
    #: After which the service is asked again to delete a session whose release it has accepted.
    release_again_seconds: float = 20.0
    #: Between two requests for one session: the first, growing to the longest.
    first_retry_seconds: float = 0.25
    longest_retry_seconds: float = 30.0


@dataclass
class _Task:
    """What is being done about one slot."""

    began: float
    due: float
    pause: float
    under_way: bool = False
    #: Looks for a lost session since the last one that was answered.
    unanswered: int = 0
    #: When the service accepted the release; 0 before.
    accepted_at: float = 0.0


class Janitor:
    """Sees to each slot that may have a session. `step` starts what is due and returns."""

    def __init__(
        self,
        state: State,
        *,
        agb: Callable[[], AGB | None],
        lives: Callable[[str], bool],
        jobs: Jobs,
        ownership: Ownership,
        learn: Callable[..., None],
        looked: Callable[[str, Look], None],
        clock: Callable[[], float],
        settings: JanitorSettings,
    ) -> None:
        self._slots = state.slots
        self._agb = agb
        self._lives = lives
        self._jobs = jobs
        self._ownership = ownership
        self._finder = Finder(state.slots, ownership, jobs)
        self._learn = learn
        self._looked = looked
        self._clock = clock
        self._settings = settings
        self._tasks: dict[str, _Task] = {}
        #: When each session is next to be kept alive, as far as the last try says so.
        self._kept_alive: dict[str, float] = {}

    def step(self, slots: Sequence[Slot]) -> float:
        """Start what is due; return when there will be more."""
        now = self._clock()
        for slot in slots:
            if slot.state is SlotState.IDLE:
                self._keep_alive(slot, now)
            elif slot.state in (SlotState.CREATING, SlotState.LEASED):
                self._look_after(slot, now)
            elif now < slot.expires_at:
                self._go_on(slot, now)
            elif slot.trouble is not Trouble.GIVEN_UP:
                self._slots.lapsed(slot.slot)
                self._tasks.pop(slot.slot, None)
        return min((task.due for task in self._tasks.values() if not task.under_way), default=math.inf)

    def _look_after(self, slot: Slot, now: float) -> None:
        if self._lives(slot.member):
            if slot.state is SlotState.LEASED:
                self._keep_alive(slot, now)
        elif slot.state is SlotState.CREATING:
            self._slots.lost(slot.slot, "the process that was creating it died")
        else:
            self._slots.reclaim(slot.slot)

    def _keep_alive(self, slot: Slot, now: float) -> None:
        assert slot.session_id is not None
        agb = self._agb() if now >= self._keep_alive_at(slot) else None
        if agb is None:
            return
        self._kept_alive[slot.slot] = now + slot.idle_timeout / 2
        session = Session(agb, slot.session_id)

        def kept(result: OperationResult) -> None:
            if result.success:
                self._slots.answered(slot.slot)
            elif isinstance(result.error, NotFoundError):
                self._slots.give_up(slot.slot, f"it ended while nobody used it: {result.error_message}")
                self._slots.died(slot.slot, f"it is gone: {result.error_message}")  # if it is leased
            elif now >= slot.answered_at + slot.idle_timeout:
                self._slots.give_up(slot.slot, f"it could not be kept alive: {result.error_message}")
            else:
                self._kept_alive[slot.slot] = now + slot.idle_timeout / 8

        self._jobs.start(session.keep_alive, kept)

    def _keep_alive_at(self, slot: Slot) -> float:
        since = slot.answered_at + slot.idle_timeout / 2
        tried = self._kept_alive.get(slot.slot, 0.0)
        return max(since, tried)

    # ---- lost and deleting -------------------------------------------------------------------------------

    def _go_on(self, slot: Slot, now: float) -> None:
        task = self._tasks.get(slot.slot)
        if task is None:
            if slot.state is SlotState.DELETING and slot.uses:
                self._learn(lease=slot.held)
            task = self._tasks[slot.slot] = _Task(now, now, self._settings.first_retry_seconds)
            task.accepted_at = now if slot.accepted else 0.0  # by a keeper before this one
        if task.under_way or now < task.due:
            return
        agb = self._agb()
        if slot.state is SlotState.LOST:
            self._find(slot, task, agb)
        elif agb is None:
            self._done(slot)
        elif slot.accepted:
            self._see_it_gone(slot, task, agb)
        else:
            self._release(slot, task, agb)

    def _call(self, task: _Task, call: Callable[[], Result], then: Callable[[Result], None]) -> None:
        def done(result: Result) -> None:
            self._rest(task)
            then(result)

        task.under_way = True
        self._jobs.start(call, done)

    def _rest(self, task: _Task) -> None:
        """Nothing is under way any more; what is next waits longer than the last time."""
        task.under_way = False
        task.due = self._clock() + task.pause
        task.pause = min(2 * task.pause, self._settings.longest_retry_seconds)

    def _begin_anew(self, task: _Task) -> None:
        task.due, task.pause = 0.0, self._settings.first_retry_seconds

    def _release(self, slot: Slot, task: _Task, agb: AGB) -> None:
        assert slot.session_id is not None
        session_id = slot.session_id

        def released(result: DeleteResult) -> None:
            if not result.success:
                self._slots.failing(slot.slot, f"could not be deleted: {result.error}")
                return
            self._slots.accepted(slot.slot)
            if not task.accepted_at:
                self._learn(delete=self._clock() - task.began)
            task.accepted_at = self._clock()
            self._begin_anew(task)

        self._call(task, lambda: agb.release(session_id), released)

    def _see_it_gone(self, slot: Slot, task: _Task, agb: AGB) -> None:
        assert slot.session_id is not None
        session_id = slot.session_id

        def look() -> bool | AGBError:
            try:
                return agb.is_gone(session_id)
            except AGBError as error:
                return error

        def looked(gone: bool | AGBError) -> None:
            if isinstance(gone, AGBError):
                self._slots.failing(slot.slot, f"could not be seen gone: {gone}")
            elif gone:
                self._done(slot)
            elif self._clock() - task.accepted_at >= self._settings.release_again_seconds:
                seconds = self._clock() - task.accepted_at
                self._slots.unaccepted(slot.slot, f"accepted for deletion and there {seconds:.0f} s later")

        self._call(task, look, looked)

    def _find(self, slot: Slot, task: _Task, agb: AGB | None) -> None:
        if agb is None:
            self._done(slot, f"{slot.note}; the local server has ended")
            return

        began = self._clock()  # the machine may sleep before the answer comes, which says how it was

        def looked(look: Look) -> None:
            self._rest(task)
            if look.session_id is not None:
                self._slots.ready(slot.slot, look.session_id)
                self._tasks.pop(slot.slot, None)
                return
            self._looked(slot.slot, look)
            if look.more:
                task.due = 0.0
            task.unanswered = 0 if look.answered else task.unanswered + 1
            settings, refused = self._settings, slot.trouble is Trouble.REFUSED
            if look.answered:
                enough = began - task.began >= settings.lost_seconds
            else:
                long = began - task.began >= settings.unanswered_seconds
                enough = long and task.unanswered >= settings.unanswered_looks
            if (look.absent and refused) or enough:
                self._done(slot, slot.note if refused else f"{slot.note}; {look.trouble}")
            elif look.answered and not refused:
                self._slots.absent(slot.slot)

        task.under_way = True
        self._finder.look(slot.slot, agb, looked)

    def _done(self, slot: Slot, note: str = "") -> None:
        self._slots.gone(slot.slot, note=note)
        self._tasks.pop(slot.slot, None)
        self._kept_alive.pop(slot.slot, None)
        self._ownership.forget(slot.slot, slot.session_id)
