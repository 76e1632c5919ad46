"""The keeper's creating: on demand for whoever waits, and ahead of demand for the tests to come."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb.client import (
    AGBError,
    AuthenticationError,
    ProtocolError,
    SessionResult,
    UnavailableError,
)
from pytest_agb.keeper import plan
from pytest_agb.keeper.capacity import Capacity
from pytest_agb.labels import RunLabels, expires_at
from pytest_agb.run.ownership import whose
from pytest_agb.store import error_text, session_spec
from pytest_agb.store.facts import Fact
from pytest_agb.store.slots import Slot, SlotState, Trouble
from pytest_agb.store.state import usable_seconds
from pytest_agb.wall_clock import wall_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_agb.client import AGB
    from pytest_agb.keeper.finder import Look
    from pytest_agb.keeper.jobs import Jobs
    from pytest_agb.run.ownership import Ownership
    from pytest_agb.settings import Settings
    from pytest_agb.store.state import State

#: Weight of the newest figure in a running mean.
_NEWEST = 0.3


@dataclass(frozen=True)
class _Lost:
    """A create whose answer did not come."""

    spec: str
    at: float
    error: AGBError
    #: Whether it took the place of one that was lost before it: there is no third.
    again: bool


@dataclass(frozen=True)
class _Created:
    """How a create ended, and which labels the session that it names has, as far as they can be read."""

    result: SessionResult
    labels: Mapping[str, str]


class Provisioner:
    """Decides by `pytest_agb.keeper.plan`, and creates. `step` starts what is due and returns."""

    def __init__(
        self,
        state: State,
        settings: Settings,
        member: str,
        *,
        agb: Callable[[], AGB | None],
        jobs: Jobs,
        ownership: Ownership,
        clock: Callable[[], float],
        absent_seconds: float,
        adopt_seconds: float,
    ) -> None:
        """Whoever waits for a session whose create was lost waits for it to show up.

        For ``absent_seconds`` if the service says that there is none, and ``adopt_seconds`` at the most.
        """
        self._state = state
        self._settings = settings
        self._member = member
        self._agb = agb
        self._jobs = jobs
        self._ownership = ownership
        self._clock = clock
        self._absent_seconds = absent_seconds
        self._adopt_seconds = adopt_seconds
        self._capacity = Capacity(state, settings, clock)
        self._lost: dict[str, _Lost] = {}
        #: How many creates of each spec are to take the place of lost ones.
        self._again: Counter[str] = Counter()
        self._times: dict[str, float] = {}
        if settings.times:
            self._times = dict(zip(plan.Times.__annotations__, settings.times, strict=True))
        # The number of leases when what was created ahead turned out not to be used; none is until it grows.
        self._unused_at: int | None = None

    def step(self, slots: Sequence[Slot], *, over: bool) -> None:
        """Create and give up what the plan says. ``over``: no test will ask any more."""
        now = self._clock()
        # The maximum lifetime has ended what is given up: that takes nobody's place.
        slots = [slot for slot in slots if slot.trouble is not Trouble.GIVEN_UP]
        idle = [slot for slot in slots if slot.state is SlotState.IDLE]
        if over:
            self._give_up(idle, "the run is over")
            return
        self._retire(idle, now)
        self._settle_lost(slots, now)
        situation = self._situation(slots)
        decided = plan.make(situation)
        for slot in idle:
            if decided.give_up[slot.spec] > 0:
                self._give_up([slot], "nobody needs it")
                decided.give_up[slot.spec] -= 1
        self._capacity.planned(situation.total + len(decided.create), decided.unserved)
        for wanted in decided.create:
            if self._state.refusals.find(session_spec.image(wanted)) is None:
                self._create(wanted)

    def looked(self, slot: str, look: Look) -> None:
        """A look for the session of a lost create showed none: let whoever waits have another one, or tell.

        Another create goes out once, after the service has said that the first made no session that shows:
        a lost one goes on counting, so that under a ceiling this waits.
        """
        lost = self._lost.get(slot)
        if lost is None:
            return
        waited = self._clock() - lost.at
        absent = look.answered and waited >= (self._absent_seconds if look.absent else self._adopt_seconds)
        if look.unlisted or (absent and lost.again):
            self._tell(slot)
        elif absent:
            del self._lost[slot]
            self._again[lost.spec] += 1

    def _tell(self, slot: str) -> None:
        """Whoever waits for the session of a lost create need wait no longer."""
        lost = self._lost.pop(slot)
        self._state.waiters.fail(lost.spec, error_text.write(lost.error))

    def learn(self, **seconds: float) -> None:
        """Learn what a ``create``, ``lease`` or ``delete`` has just taken."""
        for name, value in seconds.items():
            known = self._times.get(name, value)
            self._times[name] = (1 - _NEWEST) * known + _NEWEST * value
        times = self._known_times()
        if times is not None:
            self._state.facts.put(Fact.TIMES, json.dumps([times.create, times.lease, times.delete]))

    # ---- deciding ----------------------------------------------------------------------------------------

    def _situation(self, slots: Sequence[Slot]) -> plan.Situation:
        settings = self._settings
        waiting = [want.spec for want in self._state.waiters.waiting()]
        self._again &= Counter(waiting)
        states = Counter(slot.state for slot in slots)
        # A lost session counts until it is found or given up, also when nobody waits for it any more; one
        # whose create was refused counts for the ceiling that was asked for, since that is a promise.
        refused = sum(slot.trouble is Trouble.REFUSED for slot in slots)
        forgotten = states[SlotState.LOST] - len(self._lost) - refused
        ending = states[SlotState.DELETING] + forgotten
        # The account's own count may well go on until a session is gone; a ceiling that was asked for does.
        if not self._capacity.felt and settings.max_sessions is None:
            ending -= sum(slot.accepted for slot in slots if slot.state is SlotState.DELETING)
        depth = 0 if self._capacity.felt or self._unused() else self._capacity.ahead(self._depth())
        return plan.Situation(
            waiting=waiting,
            upcoming=self._state.upcoming.specs(depth + states[SlotState.IDLE]) if depth else (),
            idle=Counter(slot.spec for slot in slots if slot.state is SlotState.IDLE),
            coming=Counter(slot.spec for slot in slots if slot.state is SlotState.CREATING)
            + Counter(lost.spec for lost in self._lost.values()),
            leased=states[SlotState.LEASED],
            ending=ending,
            ceiling=self._capacity.ceiling(refused),
            depth=depth,
            thrifty=settings.reuse == "never" or self._capacity.felt,
        )

    def _depth(self) -> int:
        settings, times = self._settings, self._known_times()
        if settings.reuse != "never":
            depth = settings.workers  # what is given back is leased again
        else:
            depth = plan.depth(times, settings.workers, settings.max_sessions, settings.max_idle)
        known = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self._times.items())
        said = f"up to {depth} sessions at once for {settings.workers} workers ({known})"
        self._state.facts.put(Fact.DEPTH, said)
        return depth

    def _known_times(self) -> plan.Times | None:
        return plan.Times(**self._times) if len(self._times) == len(plan.Times.__annotations__) else None

    def _unused(self) -> bool:
        if self._unused_at is not None and self._state.slots.leases() != self._unused_at:
            self._unused_at = None
        return self._unused_at is not None

    def _retire(self, idle: Iterable[Slot], now: float) -> None:
        usable = usable_seconds(self._settings)
        for slot in idle:
            if now - slot.created_at >= usable:
                self._give_up([slot], "it nears its maximum lifetime")
            elif now - slot.idle_since >= self._settings.max_idle:
                self._give_up([slot], f"nobody has leased it for {self._settings.max_idle:g} s")
                self._unused_at = self._state.slots.leases()

    def _give_up(self, idle: Iterable[Slot], why: str) -> None:
        for slot in idle:
            self._state.slots.give_up(slot.slot, why)

    # ---- creating ----------------------------------------------------------------------------------------

    def _create(self, wanted: str) -> None:
        slot, began = secrets.token_hex(8), self._clock()
        again = self._again[wanted] > 0
        self._again[wanted] -= again
        expires = expires_at(self._settings, began)
        params = session_spec.read(wanted)
        self._state.slots.begin(
            slot,
            spec=wanted,
            member=self._member,
            idle_timeout=params.idle_timeout_seconds,
            created_at=began,
            expires_at=expires,
            ahead=(ahead := wall_seconds() - began),
        )
        labels = RunLabels.of_slot(self._settings, slot, began + ahead, expires + ahead).write()
        agb = self._agb()

        def call() -> _Created:
            if agb is None:
                return _Created(SessionResult.failed(UnavailableError("the local server has ended")), {})
            result = agb.create(params, reserved_labels=labels)
            alone = not self._settings.outlives_run  # nobody else has sessions on the run's own server
            return _Created(
                result, {} if alone or not result.success else whose(agb, result.session.session_id)
            )

        def created(answer: _Created) -> None:
            result = answer.result
            if not result.success:
                self._failed(slot, wanted, result.error or AGBError(result.error_message), again=again)
            elif reason := self._not_new(result.session.session_id, labels, answer.labels):
                message = f"the create was answered with session {result.session.session_id}, which {reason}"
                error = ProtocolError(message, request_id=result.request_id, maybe_executed=True)
                self._failed(slot, wanted, error, again=again)
            else:
                self.learn(create=self._clock() - began)
                self._state.slots.ready(slot, result.session.session_id, result.request_id)
                self._capacity.created()

        self._jobs.start(call, created)

    def _not_new(self, session_id: str, sent: Mapping[str, str], found: Mapping[str, str]) -> str:
        """Say why a session can't be what has just been created, or "": an answer may be another create's.

        One that is gone counts: the answer may have been on its way since before. Where the ID is really that
        of a new session, its slot label says so, and it is found by that. Labels that do not show up yet say
        nothing.
        """
        if self._state.slots.had(session_id):
            return "this run had before"
        if self._ownership.foreign(session_id):
            return "is somebody else's"
        others = found and any(found.get(name) != sent[name] for name in (label_rules.RUN, label_rules.SLOT))
        return "carries the labels of another" if others else ""

    def _failed(self, slot: str, wanted: str, error: AGBError, *, again: bool) -> None:
        """Record how far a create got, and tell those who wait what there is to tell."""
        if error.maybe_executed:
            self._lost[slot] = _Lost(wanted, self._clock(), error, again)
            self._state.slots.lost(slot, f"its create has no good answer: {error.message}")
        elif error.http_status is None or isinstance(error, AuthenticationError):  # nothing was let in
            self._state.slots.gone(slot, note=error.message)
        else:
            self._state.slots.lost(slot, error.message, refused=True)
        if self._state.refusals.remember(error, session_spec.image(wanted)) or self._capacity.refused(error):
            return  # all who wait find it there, or wait on
        if not error.maybe_executed and not self._state.waiters.fail(wanted, error_text.write(error)):
            self._unused_at = self._state.slots.leases()  # nobody waits: nothing more ahead for now

    def _settle_lost(self, slots: Sequence[Slot], now: float) -> None:
        """Stop waiting for lost sessions that were found, and for those that don't show up in time."""
        looked_for = {slot.slot for slot in slots if slot.state is SlotState.LOST}
        for slot, lost in list(self._lost.items()):
            if slot not in looked_for:
                del self._lost[slot]
            elif now - lost.at >= 2 * self._adopt_seconds:  # not even looks have come to their end
                self._tell(slot)
