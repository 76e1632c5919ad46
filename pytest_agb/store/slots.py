"""The slots of a run: one row for each session that is intended.

::

    creating ──▶ idle ◀──▶ leased ──▶ deleting ──▶ gone
        │         ▲ │         └─▶ kept ─▲           ▲
        │         │ └───────────────────┘           │
        └──▶ lost ┴─────────────────────────────────┘   found by its slot label, or given up

A slot is written before the request that creates its session goes out, so that whatever happens then,
there is a slot label to find the session by.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.store.database import Database


class SlotState(StrEnum):
    """Where a slot is in its life."""

    CREATING = "creating"
    LOST = "lost"
    IDLE = "idle"
    LEASED = "leased"
    #: Left to the user, after a test that failed.
    KEPT = "kept"
    DELETING = "deleting"
    GONE = "gone"


class Trouble(StrEnum):
    """What keeps a slot from coming to its end."""

    NONE = ""
    #: The latest try to delete the session, or to see it gone, failed; others follow.
    FAILING = "failing"
    #: It is leased, and its session is gone or answers nothing any more: nobody leases it again.
    DEAD = "dead"
    #: It is past its maximum lifetime, which ends it by itself: nothing is tried any more.
    GIVEN_UP = "given up"
    #: It is lost only to be safe: the service refused its create, and nobody has looked yet.
    REFUSED = "refused"
    #: It is lost, and the latest look showed no session of it; others follow, since labels show up late.
    ABSENT = "absent"


@dataclass(frozen=True)
class Slot:
    """A row: one intended session."""

    slot: str
    state: SlotState
    #: See `pytest_agb.store.session_spec`.
    spec: str
    #: Who is creating it or has leased it; empty while it is idle.
    member: str
    #: What it is leased for or kept for, a test's node ID for example.
    user: str
    session_id: str | None
    #: Of the create.
    request_id: str
    #: Seconds.
    idle_timeout: int
    #: This and all other times are by the run's clock (`pytest_agb.store.run_clock`).
    created_at: float
    #: When nobody can still be using the session.
    expires_at: float
    #: Seconds by which the wall clock, which the session's labels go by, was ahead of the run's when it was
    #: created.
    ahead: float
    #: When the service last said that it is there.
    answered_at: float
    #: When it was last ready, or given back.
    idle_since: float
    #: When the latest lease began.
    leased_at: float
    #: Seconds that the latest lease took.
    held: float
    #: Leases so far.
    uses: int
    #: Whether the service has accepted its release.
    accepted: int
    trouble: Trouble
    #: What a person should know of it.
    note: str

    def why_kept(self) -> str:
        """Say what it is kept for, and how long."""
        return f"{self.user} failed; without a call it ends after {self.idle_timeout} s"


#: All columns, for a `SELECT` that `from_row` reads.
COLUMNS = ", ".join(Slot.__annotations__)


@dataclass(frozen=True)
class Count:
    """What became of the sessions of a run."""

    created: int
    deleted: int


class IllegalTransitionError(RuntimeError):
    """A slot can't become what it should, its state or its session being what it is: a bug of ours."""


def from_row(row: tuple[Any, ...]) -> Slot:
    """Make a slot of a row of all columns."""
    values = dict(zip(Slot.__annotations__, row, strict=True))
    types = {"state": SlotState(values["state"]), "trouble": Trouble(values["trouble"])}
    return Slot(**{**values, **types})


def to_row(slot: Slot) -> tuple[Any, ...]:
    """Undo `from_row`."""
    values = (getattr(slot, name) for name in Slot.__annotations__)
    return tuple(value.value if isinstance(value, StrEnum) else value for value in values)


class SlotTable:
    """The slots, as one process sees them."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    # ---- a slot's life -----------------------------------------------------------------------------------

    def begin(
        self,
        slot: str,
        *,
        spec: str,
        member: str,
        idle_timeout: int,
        created_at: float,
        expires_at: float,
        ahead: float = 0.0,
    ) -> None:
        """Write a slot whose create ``member`` is about to send.

        Its session's labels say ``created_at`` and ``expires_at`` by a clock that is ``ahead`` by so much.
        """
        self._database.write(
            "INSERT INTO slots (slot, state, spec, member, idle_timeout, created_at, expires_at, ahead) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (slot, SlotState.CREATING.value, spec, member, idle_timeout, created_at, expires_at, ahead),
        )

    def ready(self, slot: str, session_id: str, request_id: str = "") -> None:
        """The session is there, for whoever claims it.

        Raises:
            IllegalTransitionError: another slot holds that very session.
        """
        now = self._clock()
        try:
            self._move(
                slot,
                SlotState.IDLE,
                (SlotState.CREATING, SlotState.LOST),
                "member = '', session_id = ?, request_id = ?, answered_at = ?, idle_since = ?",
                (session_id, request_id, now, now),
            )
        except sqlite3.IntegrityError as error:
            raise IllegalTransitionError(
                f"slot {slot} can't have session {session_id}, which another slot holds"
            ) from error

    def lost(self, slot: str, note: str, *, refused: bool = False) -> None:
        """The create has no good answer: there may be a session, to be found by its slot label.

        ``refused``: the service said no, which makes a session unlikely.
        """
        trouble = Trouble.REFUSED if refused else Trouble.NONE
        self._move(slot, SlotState.LOST, (SlotState.CREATING,), "note = ?", (note,), trouble=trouble)

    def returned(self, slot: str) -> None:
        """A lease ended, and the session is for whoever claims it next; one that is dead is to be deleted."""
        now = self._clock()
        changed = self._database.write(
            "UPDATE slots SET state = CASE trouble WHEN ? THEN ? ELSE ? END, trouble = '', member = '', "
            "user = '', idle_since = ?, held = ? - leased_at WHERE slot = ? AND state = ?",
            (
                Trouble.DEAD.value,
                SlotState.DELETING.value,
                SlotState.IDLE.value,
                now,
                now,
                slot,
                SlotState.LEASED.value,
            ),
        )
        if changed != 1:
            raise IllegalTransitionError(f"slot {slot} can't become idle")

    def died(self, slot: str, why: str) -> None:
        """The session of a lease can't be used any more, which holds for all who share the lease."""
        self._database.write(
            "UPDATE slots SET trouble = ?, note = ? WHERE slot = ? AND state = ? AND trouble = ''",
            (Trouble.DEAD.value, why, slot, SlotState.LEASED.value),
        )

    def deleting(self, slot: str) -> None:
        """A lease ended, and the session is to be deleted."""
        self._move(slot, SlotState.DELETING, (SlotState.LEASED,), "held = ? - leased_at", (self._clock(),))

    def reclaim(self, slot: str) -> None:
        """The process of a lease died: the session is to be deleted, if that did not end the lease itself."""
        self._database.write(
            "UPDATE slots SET state = ?, trouble = '', held = ? - leased_at WHERE slot = ? AND state = ?",
            (SlotState.DELETING.value, self._clock(), slot, SlotState.LEASED.value),
        )

    def keep(self, slot: str, user: str) -> None:
        """A lease ended, and the session is left to the user, for the sake of the test ``user``."""
        self._move(
            slot,
            SlotState.KEPT,
            (SlotState.LEASED,),
            "member = '', user = ?, idle_since = ?, held = ? - leased_at",
            (user, now := self._clock(), now),
        )

    def give_up_kept(self, note: str) -> bool:
        """Have the session deleted that has been kept for longest; false if none is kept."""
        return bool(
            self._database.write(
                "UPDATE slots SET state = ?, note = ? WHERE slot = "
                "(SELECT slot FROM slots WHERE state = ? ORDER BY idle_since LIMIT 1)",
                (SlotState.DELETING.value, note, SlotState.KEPT.value),
            )
        )

    def give_up(self, slot: str, note: str) -> bool:
        """Have an idle session deleted, unless somebody has just claimed it."""
        return bool(
            self._database.write(
                "UPDATE slots SET state = ?, note = ? WHERE slot = ? AND state = ?",
                (SlotState.DELETING.value, note, slot, SlotState.IDLE.value),
            )
        )

    def accepted(self, slot: str) -> None:
        """The service has accepted the release; what is left is to see that the session is gone."""
        self._move(
            slot,
            SlotState.DELETING,
            (SlotState.DELETING,),
            "accepted = 1, note = ?",
            ("the service is deleting it",),
        )

    def gone(self, slot: str, note: str = "") -> None:
        """No session of this slot is left, or none ever was."""
        self._move(
            slot, SlotState.GONE, tuple(SlotState), "note = CASE ? WHEN '' THEN note ELSE ? END", (note, note)
        )

    def failing(self, slot: str, note: str) -> None:
        """A try to delete the session, or to see it gone, failed."""
        self._set_trouble(slot, Trouble.FAILING, note)

    def absent(self, slot: str) -> None:
        """A look for the session of a lost create showed none."""
        self._database.write(
            "UPDATE slots SET trouble = ? WHERE slot = ? AND state = ? AND trouble <> ?",
            (Trouble.ABSENT.value, slot, SlotState.LOST.value, Trouble.ABSENT.value),
        )

    def unaccepted(self, slot: str, note: str) -> None:
        """The service has accepted the release, and the session does not go: it is to be asked again."""
        changes = "accepted = 0, note = ?"
        deleting = SlotState.DELETING
        self._move(slot, deleting, (deleting,), changes, (note,), trouble=Trouble.FAILING)

    def lapsed(self, slot: str) -> None:
        """The session is past its maximum lifetime, and nothing more is tried."""
        note = "given up: it is past its maximum lifetime, which ends it whatever became of its deletion"
        self._set_trouble(slot, Trouble.GIVEN_UP, note)

    def _set_trouble(self, slot: str, trouble: Trouble, note: str) -> None:
        self._database.write(
            "UPDATE slots SET trouble = ?, note = ? WHERE slot = ?", (trouble.value, note, slot)
        )

    def answered(self, slot: str) -> None:
        """The service has just said that the session is there."""
        self._database.write("UPDATE slots SET answered_at = ? WHERE slot = ?", (self._clock(), slot))

    def leave(self, member: str) -> None:
        """Have all that ``member`` leased deleted."""
        self._database.write(
            "UPDATE slots SET state = ?, trouble = '', held = ? - leased_at WHERE member = ? AND state = ?",
            (SlotState.DELETING.value, self._clock(), member, SlotState.LEASED.value),
        )

    # ---- looking -----------------------------------------------------------------------------------------

    def left(self) -> list[Slot]:
        """The slots that may still have a session which the run has to delete, the oldest first."""
        return self._find("state NOT IN ('gone', 'kept')")

    def kept(self) -> list[Slot]:
        """The slots whose sessions are left to the user, the oldest first."""
        return self._find("state = 'kept'")

    def held(self) -> set[str]:
        """The IDs of all sessions that slots have, those that are kept or being deleted too."""
        rows = self._database.fetch(
            "SELECT session_id FROM slots WHERE session_id IS NOT NULL AND state <> 'gone'"
        )
        return {row[0] for row in rows}

    def known(self) -> set[str]:
        """The IDs of all sessions that slots have or once had."""
        return {row[0] for row in self._database.fetch("SELECT session_id FROM slots") if row[0] is not None}

    def had(self, session_id: str) -> bool:
        """Whether any slot has, or once had, a session of this ID."""
        return bool(self._database.fetch("SELECT 1 FROM slots WHERE session_id = ? LIMIT 1", (session_id,)))

    def why_dead(self, slot: str) -> str:
        """Why the session of a lease can't be used any more; empty if it can."""
        rows = self._database.fetch(
            "SELECT note FROM slots WHERE slot = ? AND trouble = ?", (slot, Trouble.DEAD.value)
        )
        return str(rows[0][0]) if rows else ""

    def _find(self, which: str) -> list[Slot]:
        rows = self._database.fetch(f"SELECT {COLUMNS} FROM slots WHERE {which} ORDER BY created_at")
        return [from_row(row) for row in rows]

    def leases(self) -> int:
        """How many leases there have been."""
        ((number,),) = self._database.fetch("SELECT COALESCE(SUM(uses), 0) FROM slots")
        return int(number)

    def count(self) -> Count:
        """How many sessions were created and how many of them are deleted."""
        ((created, deleted),) = self._database.fetch(
            "SELECT COUNT(*), COALESCE(SUM(state = ?), 0) FROM slots WHERE session_id IS NOT NULL",
            (SlotState.GONE.value,),
        )
        return Count(created, deleted)

    def _move(
        self,
        slot: str,
        to: SlotState,
        from_states: tuple[SlotState, ...],
        changes: str,
        values: tuple[object, ...],
        *,
        trouble: Trouble = Trouble.NONE,
    ) -> None:
        places = ", ".join("?" * len(from_states))
        changed = self._database.write(
            f"UPDATE slots SET state = ?, trouble = ?, {changes} WHERE slot = ? AND state IN ({places})",
            (to.value, trouble.value, *values, slot, *(state.value for state in from_states)),
        )
        if changed != 1:
            raise IllegalTransitionError(f"slot {slot} can't become {to.value}")
