"""The tables of a run without a run: what tests of them do again and again."""

from __future__ import annotations

from pytest_agb.store.slots import Slot, SlotState, SlotTable
from pytest_agb.store.waiters import Waiters


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def begin(slots: SlotTable, slot: str, spec: str = "spec") -> None:
    slots.begin(
        slot, spec=spec, member="keeper", idle_timeout=120, created_at=slots._clock(), expires_at=4000
    )


def ready(slots: SlotTable, slot: str, spec: str = "spec") -> None:
    begin(slots, slot, spec)
    slots.ready(slot, f"session-{slot}")


def states(slots: SlotTable) -> list[tuple[str, SlotState]]:
    return [(slot.slot, slot.state) for slot in slots.left()]


def ask(leases: Waiters, spec: str = "spec", member: str = "m", unit: str = "") -> Slot | int:
    return leases.ask(spec, member=member, user="test_it", unit=unit)
