"""Runs of the pool at random: workers, a keeper and a service in one process, without time or threads.

The tables and the keeper are the real ones. What is simulated is what they stand on: the clock, who is alive,
when a call reaches the service, and when its answer comes back.

A run is made of its seed and of acts, each with a seed of its own: without some of them the others do as they
did, so that a run that fails can be shrunk (`soak.shrinking`).
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from soak.service import FakeAGB, Service, Steps
from soak.sometimes import Seen

from pytest_agb.client import AGB, CreateSessionParams
from pytest_agb.keeper.keeper import Keeper, KeeperSettings
from pytest_agb.run import members
from pytest_agb.secret import Secret
from pytest_agb.settings import CLOUD, Settings
from pytest_agb.store import session_spec
from pytest_agb.store.database import lay_schema
from pytest_agb.store.slots import Slot, SlotState, Trouble
from pytest_agb.store.state import State, database_path

_NOW = KeeperSettings(poll_seconds=0.0, quiet_poll_seconds=0.0)
_SPECS = [session_spec.write(CreateSessionParams(image, {}, 120)) for image in ("image-a", "image-b")]
#: Simulated seconds within which whoever waits must have an answer once the service works.
_PATIENCE_SECONDS = 300.0


@dataclass(eq=False)
class Worker:
    """A process that runs tests, one at a time."""

    name: str
    want: int | None = None
    lease: Slot | None = None
    alive: bool = True


class Company(members.Others):
    """Who is alive, as the simulation has it."""

    def __init__(self, workers: list[Worker], keeper: str) -> None:
        self._workers = workers
        self._keeper = keeper

    def lives(self, member: str) -> bool:
        return member == self._keeper or any(
            worker.alive and worker.name == member for worker in self._workers
        )

    def any(self, *, users_only: bool = False) -> bool:
        return any(worker.alive for worker in self._workers)


class Act(NamedTuple):
    """Something that happens in a run: a method's name, and the seed of its chances."""

    name: str
    seed: int


class Run:
    """A run: what its workers do, what befalls them, and what must hold meanwhile."""

    def __init__(self, seed: str, directory: Path, seen: Seen, acts: Sequence[Act] | None = None) -> None:
        """Make one of ``seed``, whose own ``acts`` others may take the place of."""
        self._chance = chance = random.Random(seed)
        self.seen = seen
        self.steps = 0
        #: What happened last, for whoever looks for the reason of a failure.
        self.events: deque[str] = deque(maxlen=40)
        self._path = directory / f"run-{seed}"
        self._path.mkdir()
        lay_schema(database_path(self._path))
        self._service = service = Service(chance)
        self._settings = Settings(
            backend=CLOUD,
            run_id=self._path.name,
            images=("image-a",),
            labels={},
            scope="function",
            idle_timeout=120,
            local_isolation="auto",
            endpoint="",
            timeout_seconds=60.0,
            api_key=Secret("ako-simulated"),
            workers=chance.randint(1, 6),
            max_sessions=chance.choice([None, None, 1, 2, 5, 12]),
            reuse=chance.choice(["never", "never", "always"]),
            max_idle=chance.choice([5.0, 60.0, 300.0]),
            max_lifetime=chance.choice([1800, 1800, 400]),
            keep_failed=chance.random() < 0.3,
            level=chance.choice([None, None, 2]),
        )
        self._state = State(self._path, self._settings, clock=self._clock)
        self._numbers = iter(range(10**9))
        self._workers = [self._new_worker() for _ in range(self._settings.workers)]
        #: What is told of each call that is sent, and of each keeper that starts, see `test_crashes`.
        self.on_sent: Callable[[], None] = lambda: None
        self.on_keeper: Callable[[Keeper], None] = lambda keeper: None
        self._executors = self._new_executors()
        self._keeper: Keeper | None = None
        self._taken_over = False
        service.quota = chance.choice([None, None, 0, 1, 3])
        service.trouble = chance.choice([0.0, 0.05, 0.3])
        service.label_lag = chance.choice([0.0, 5.0, 20.0, 60.0])
        service.readable_lag = chance.choice([0.0, 5.0, 20.0])
        service.stale = chance.choice([0.0, 0.0, 30.0])
        service.lists_deleting = chance.random() < 0.5
        service.unfiltered = chance.choice([0.0, 0.3, 1.0])
        service.repeats = chance.choice([0.0, 0.05, 0.3])
        service.denies = chance.choice([0.0, 0.0, 0.1])
        service.forgets = chance.choice([0.0, 0.0, 0.5])
        service.confused = chance.choice([0.0, 0.0, 0.3])
        service.max_lifetime = self._settings.max_lifetime
        if chance.random() < 0.25:
            service.refuses_keeping = 0.9
            service.idle_timeout = chance.choice([120.0, service.idle_timeout])
        service.repeatable = self._repeatable
        service.reusable = self._reusable
        self.tests = deque((f"test-{number}", number) for number in range(chance.randint(0, 60)))
        if chance.random() < 0.7:
            self._state.upcoming.expect(_SPECS[0], list(self.tests))
        names = [act.__name__ for act in self._acts]
        self.acts = (
            acts
            if acts is not None
            else [Act(chance.choice(names), chance.randrange(10**9)) for _ in range(chance.randint(50, 400))]
        )

    def play(self) -> None:
        """Let things happen, then let them come to their end."""
        for act in self.acts:
            self._chance = self._service.chance = random.Random(act.seed)
            getattr(self, act.name)()
            self._check()
        self._chance = self._service.chance = random.Random(len(self.acts))
        self._service.works()
        if self._chance.random() < 0.3:
            self._who_can_have_none_is_told()
        self._nobody_waits_forever()
        self.end()

    def end(self) -> None:
        """End the run, perhaps with its keeper, so that another one takes it over."""
        if self._chance.random() < 0.5:
            self._keeper_dies()
            self._taken_over = True
        for worker in self._workers:
            self._leave(worker)
        self._nothing_is_left()

    def close(self) -> None:
        """Let go of what this process holds."""
        if self._keeper is not None:
            self._keeper.abandon()
        self._state.close()

    def _step(self, event: str) -> None:
        self.steps += 1
        self.events.append(f"{self._service.now:.2f} {event}")

    # ---- what happens ------------------------------------------------------------------------------------

    def _clock(self) -> float:
        return self._service.now

    def _repeatable(self) -> list[str]:
        """IDs that the run has had, and those of others' sessions whose labels say that, or once did."""
        assert self._keeper is not None
        had = self._state.database.fetch("SELECT session_id FROM slots WHERE session_id IS NOT NULL")
        service, others = self._service, []
        for name in sorted(service.foreign):
            session = service.sessions[name]
            readable = session.labels and service.now - session.created_at >= service.readable_lag
            if readable or self._keeper.ownership.foreign(name):
                others.append(name)
        return [row[0] for row in had] + others

    def _reusable(self) -> list[str]:
        """IDs of sessions of the run that are over, as it knows; none while a listing still shows them."""
        if self._service.stale:
            return []
        held = self._state.slots.held()
        had = self._state.database.fetch("SELECT session_id FROM slots WHERE session_id IS NOT NULL")
        return [row[0] for row in had if row[0] not in held and not self._service.there(row[0])]

    def _time_passes(self) -> None:
        seconds = self._chance.choice([0.01, 0.1, 1.0, 1.0, 10.0])
        self._service.now += seconds
        self._step(f"{seconds} s pass")
        self._calls_go_on()

    def _calls_go_on(self) -> None:
        for calls in self._executors:
            calls.advance(self._chance, 0.6)
        self._keeper_steps()

    def _keeper_steps(self) -> None:
        if self._keeper is None:
            self._keeper_starts()
        assert self._keeper is not None
        with self.seen.plans():
            self._keeper.step()
        self.seen.look(self._state, self._keeper)
        self._step("the keeper looks")

    def _new_executors(self) -> tuple[Steps, Steps]:
        return Steps(lambda: self.on_sent()), Steps(lambda: self.on_sent())

    def _keeper_starts(self) -> None:
        if self._state.slots.left():
            self.seen.add(
                "a dead run is taken over" if self._taken_over else "a keeper takes another's place"
            )
        self._executors = self._new_executors()
        self._keeper = Keeper(
            self._path,
            self._settings,
            durations=_NOW,
            clock=self._clock,
            others=(company := Company(self._workers, "")),
            executors=self._executors,
            agb=lambda: cast(AGB, FakeAGB(self._service)),
        )
        company._keeper = self._keeper.member.name
        self.on_keeper(self._keeper)
        self._step("a keeper starts")

    def _keeper_dies(self, reaches: Callable[[], bool] | None = None) -> None:
        if self._keeper is None:
            return
        for calls in self._executors:
            calls.lose(reaches or (lambda: self._chance.random() < 0.5))
        self._keeper.abandon()
        self._keeper = None
        self._step("the keeper dies")

    def _new_worker(self) -> Worker:
        return Worker(f"worker-{next(self._numbers)}")

    def _a_session_dies(self) -> None:
        """Whoever has it notices, by its calls."""
        worker = self._some_worker()
        if worker.lease is not None:
            self._service.sessions[worker.lease.session_id or ""].gone_at = self._service.now
            self._state.slots.died(worker.lease.slot, "it answers nothing")
            self._step(f"{worker.lease.session_id} dies")

    def _a_long_pause(self) -> None:
        for calls in self._executors:  # what was sent does not sleep
            calls.arrive()
        self._service.now += self._chance.choice([60.0, 400.0, 3000.0])
        self._step("a laptop sleeps")

    def _some_worker(self) -> Worker:
        return self._chance.choice(self._workers)

    def _worker_acts(self) -> None:
        worker = self._some_worker()
        if worker.want is not None:
            self._poll(worker)
        elif worker.lease is not None:
            self._give_back(worker)
        else:
            self._ask(worker)

    def _ask(self, worker: Worker) -> None:
        wanted, unit = self._chance.choice(_SPECS), ""
        if self.tests and self._chance.random() < 0.8:
            wanted, unit = _SPECS[0], self.tests.popleft()[0]
        answer = self._state.waiters.ask(wanted, member=worker.name, user=unit, unit=unit)
        self._step(f"{worker.name} asks for {session_spec.image(wanted)}")
        if isinstance(answer, Slot):
            self._got(worker, answer)
        else:
            worker.want = answer

    def _poll(self, worker: Worker, *, patient: bool = False) -> None:
        assert worker.want is not None
        slot = self._state.waiters.claim(worker.want)
        if slot is not None:
            worker.want = None
            self._got(worker, slot)
        elif self._state.waiters.error(worker.want) is not None or (
            not patient and self._chance.random() < 0.02
        ):
            self._state.waiters.withdraw(worker.want)
            worker.want = None
            self._step(f"{worker.name} does not wait any longer")

    def _got(self, worker: Worker, slot: Slot) -> None:
        worker.lease = slot
        self._step(f"{worker.name} has {slot.session_id}")

    def _give_back(self, worker: Worker) -> None:
        assert worker.lease is not None
        if self._settings.keep_failed and self._chance.random() < 0.2:
            self._state.slots.keep(worker.lease.slot, "a test that failed")
        elif self._settings.reuse == "always" and self._chance.random() < 0.8:
            self._state.slots.returned(worker.lease.slot)
        else:
            self._state.slots.deleting(worker.lease.slot)
        self._step(f"{worker.name} gives {worker.lease.session_id} back")
        worker.lease = None

    def _worker_dies(self) -> None:
        worker = self._some_worker()
        worker.alive = False
        self._workers.remove(worker)
        self._workers.append(self._new_worker())
        self._step(f"{worker.name} dies")

    def _a_test_is_skipped(self) -> None:
        if self.tests:
            self._state.upcoming.done(self.tests.popleft()[0])

    def _quota_changes(self) -> None:
        self._service.quota = self._chance.choice([None, 0, 1, 3, 8])
        self._step(f"the quota is {self._service.quota}")

    def _leave(self, worker: Worker) -> None:
        if worker.want is not None:
            self._state.waiters.withdraw(worker.want)
        self._state.slots.leave(worker.name)
        worker.alive = False
        self._step(f"{worker.name} leaves")

    _acts = (
        [_worker_acts] * 30
        + [_keeper_steps] * 10
        + [_calls_go_on] * 15
        + [_time_passes] * 8
        + [_worker_dies, _keeper_dies, _quota_changes, _a_test_is_skipped, _a_session_dies]
        + [_a_long_pause]
    )

    # ---- what must hold ----------------------------------------------------------------------------------

    def _check(self) -> None:
        slots = {slot.slot: slot for slot in self._state.slots.left()}
        leased = Counter(slot.session_id for slot in slots.values() if slot.state is SlotState.LEASED)
        assert all(count == 1 for count in leased.values()), f"leased twice: {leased}"
        for worker in self._workers:
            if worker.lease is not None:
                slot = slots[worker.lease.slot]
                assert (slot.state, slot.member) == (SlotState.LEASED, worker.name), (
                    f"taken from {worker.name}"
                )
                session = self._service.sessions[slot.session_id or ""]
                assert not session.released, f"{slot.session_id} was deleted under {worker.name}"
                assert session.labels.get("agb_slot") == slot.slot, f"{slot.session_id} is not {slot.slot}'s"
        most = self._settings.max_sessions
        if most is not None:
            mine = [self._service.sessions[name] for name in self._service.live()]
            mine = [session for session in mine if session.labels["agb_run"] == self._settings.run_id]
            late = self._service.label_lag > 0  # a refusal is believed where the listing bears it out
            counted = sum(not session.released and not (session.denied and late) for session in mine)
            assert counted <= most, f"{counted} sessions where {most} are allowed"
        for name in self._service.foreign:
            session = self._service.sessions[name]
            assert self._service.there(name), f"{name} is gone"
            assert not session.released, f"{name} is somebody else's, and was deleted"

    def _kept(self) -> list[str]:
        """The sessions that are left to the user and have not ended by themselves."""
        kept = [slot.session_id or "" for slot in self._state.slots.kept()]
        assert not [name for name in kept if self._service.sessions[name].released], f"deleted: {kept}"
        return [name for name in kept if self._service.there(name)]

    def _until(self, holds: object, what: str) -> None:
        assert callable(holds)
        began = self._service.now
        while not holds():
            waited = self._service.now - began
            assert waited < _PATIENCE_SECONDS, f"not within {_PATIENCE_SECONDS} s: {what}"
            self._service.now += 0.25 if waited < 5 else 2.0
            for calls in self._executors:
                calls.advance(self._chance, 0.9)
            self._keeper_steps()
            self._check()

    def _who_can_have_none_is_told(self) -> None:
        self._service.down = True
        for worker in self._workers:
            if worker.lease is not None:
                self._state.slots.deleting(worker.lease.slot)
                worker.lease = None
        self._until(self._served, "somebody waits although the service is down")
        self._service.down = False

    def _served(self) -> bool:
        for worker in self._workers:
            if worker.want is not None:
                self._poll(worker, patient=True)
            elif worker.lease is not None:
                self._give_back(worker)
        return all(worker.want is None and worker.lease is None for worker in self._workers)

    def _nobody_waits_forever(self) -> None:
        """The service works: whoever waits has a session or an error soon, whatever was before."""
        self._until(self._served, "somebody waits")
        self._until(lambda: not self._state.waiters.waiting(), "the dead wait")

    def _nothing_is_left(self) -> None:
        run_id = self._settings.run_id

        def nothing() -> bool:
            left = self._state.slots.left()
            return not any(slot.trouble is not Trouble.GIVEN_UP for slot in left)

        self._until(nothing, f"slots are left: {self._state.slots.left()}")
        sessions = self._service.sessions
        there = {name for name in self._service.live() if sessions[name].labels["agb_run"] == run_id}
        kept = set(self._kept())
        left = {
            name
            for name in there - kept
            # Refused, and listed when nobody looked any more: the idle timeout's.
            if not (sessions[name].denied and self._service.label_lag > 0)
        }
        assert not left
        assert kept <= there, "a session that is the user's was deleted"
