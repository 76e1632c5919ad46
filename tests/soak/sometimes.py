"""What must happen sometimes: a simulation that never gets somewhere proves nothing of what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from pytest_agb.keeper import plan
from pytest_agb.keeper.keeper import Keeper
from pytest_agb.store.facts import Fact
from pytest_agb.store.slots import SlotState, Trouble
from pytest_agb.store.state import State

#: What the notes of slots tell, by a part of them.
_NOTES = {
    "nearing its maximum lifetime": "nears its maximum lifetime",
    "idle for too long": "nobody has leased it for",
    "not needed": "nobody needs it",
    "the end of the run": "the run is over",
    "not to be kept alive": "could not be kept alive",
    "a create without a good answer": "its create has no good answer",
    "an answer that names a session had before": "which this run had before",
    "an answer that names another's session": "which carries the labels of another",
    "a creator that died": "the process that was creating it died",
    "an accepted release that came to nothing": "accepted for deletion and there",
    "a kept session that made room": "it was kept until",
    "a lost create that made none": "no session with its label shows up",
}

MUST_HAPPEN = frozenset(
    {f"state {state}" for state in SlotState}
    | {f"trouble {trouble}" for trouble in Trouble if trouble is not Trouble.NONE}
    | set(_NOTES)
    | {
        "plan: for who waits",
        "plan: ahead",
        "plan: room is made",
        "plan: useless is given up",
        "plan: nobody is served",
        "plan: nothing to do",
        "a lost session is found",
        "a second create for a lost one",
        "no room is felt",
        "no room is forgotten",
        "a level is remembered",
        "a keeper takes another's place",
        "a dead run is taken over",
    }
)


class Seen(Counter[str]):
    """What has happened so far, and how often."""

    def __init__(self) -> None:
        super().__init__()
        self._felt = False
        self._lost: set[str] = set()
        self._read_to = 0

    def add(self, what: str) -> None:
        """Note that something has happened."""
        self[what] += 1

    def missing(self) -> list[str]:
        """What has not happened."""
        return sorted(MUST_HAPPEN - set(self))

    def begin(self) -> None:
        """Another run begins."""
        self._felt = False
        self._lost.clear()

    def look(self, state: State, keeper: Keeper) -> None:
        """Look at a run after a step of its keeper."""
        rows = state.database.fetch(
            "SELECT slot, state, trouble, note, COUNT(*) FROM slots GROUP BY state, trouble, note"
        )
        for _, name, trouble, note, _ in rows:
            self.add(f"state {name}")
            if trouble:
                self.add(f"trouble {trouble}")
            for what, words in _NOTES.items():
                if words in note:
                    self.add(what)
        lost = {slot.slot for slot in state.slots.left() if slot.state is SlotState.LOST}
        if any(
            state.database.fetch("SELECT session_id FROM slots WHERE slot = ?", (slot,))[0][0]
            for slot in self._lost - lost
        ):
            self.add("a lost session is found")
        self._lost = lost
        provisioner = keeper._provisioner
        if provisioner._again.total():
            self.add("a second create for a lost one")
        felt = provisioner._capacity.felt
        if felt:
            self.add("no room is felt")
        elif self._felt:
            self.add("no room is forgotten")
        self._felt = felt
        if state.facts.get(Fact.LEVEL):
            self.add("a level is remembered")

    @contextmanager
    def plans(self) -> Iterator[None]:
        """Note what is planned meanwhile."""
        make = plan.make

        def noting(now: plan.Situation) -> plan.Plan:
            made = make(now)
            missing = (Counter(now.waiting) - (now.idle + now.coming)).total()
            created = len(made.create)
            if missing and created:
                self.add("plan: for who waits")
            if created > missing:
                self.add("plan: ahead")
            if made.give_up.total():
                useless = now.thrifty and made.unserved == 0
                self.add("plan: useless is given up" if useless else "plan: room is made")
            if made.unserved:
                self.add("plan: nobody is served")
            if not created and not made.give_up.total():
                self.add("plan: nothing to do")
            return made

        with mock.patch.object(plan, "make", noting):
            yield
