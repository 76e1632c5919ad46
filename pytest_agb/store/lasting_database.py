"""The keeper's connection: where the file can't be used any more, it goes on in memory.

The file is on a disk that is full or read-only, or somebody has damaged it. What there is the keeper
knows all the same: it alone creates sessions.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_agb.store import slots
from pytest_agb.store.database import SCHEMA, Database, StateError
from pytest_agb.store.slots import SlotState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_INSERT = f"INSERT INTO slots ({slots.COLUMNS}) VALUES ({', '.join('?' * len(slots.Slot.__annotations__))})"

#: What a file of SQLite's begins with.
_HEADER = b"SQLite format 3\0"


class LastingDatabase(Database):
    """As `Database`, for one thread. What it raises is no fault of the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        #: Why nobody else sees what is written any more; empty while everybody does.
        self.lost = ""
        self._in_memory = False
        self._identity = _identity(path)
        # Open for as long as the connection: to close it would end SQLite's own locks on the file.
        self._file = os.open(path, os.O_RDONLY)
        self._slots: dict[str, slots.Slot] | None = None
        self._written: list[tuple[str, Sequence[object]]] = []

    def close(self) -> None:
        """Close the connection."""
        super().close()
        os.close(self._file)

    def remember(self, found: Iterable[slots.Slot]) -> bool:
        """Remember the slots to go on with, as they have just been read; false if they are to be read again.

        A file that is damaged may show fewer than there are: one is gone when it says so itself.
        """
        if self._in_memory:
            return True
        now = {slot.slot: slot for slot in found}
        gone = [(SlotState.GONE.value,)]
        missing = [name for name in self._known() if name not in now]
        self._see_to_it_that(self._is_whole() and all(self._state(name) == gone for name in missing))
        if self._in_memory:
            return False
        self._slots = now
        self._written.clear()
        return True

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """As `Database.fetch`."""
        try:
            return super().fetch(query, values)
        except StateError as error:
            self._go_on_in_memory(error)
            return super().fetch(query, values)

    def write(self, statement: str, values: Sequence[object] = ()) -> int:
        """As `Database.write`."""
        try:
            changed = super().write(statement, values)
        except StateError as error:
            self._go_on_in_memory(error)
            return super().write(statement, values)
        if self._in_memory:
            return changed
        if not changed:  # it may have found nothing to change because there is nothing left
            self._see_to_it_that(self._is_whole() and all(self._state(name) for name in self._known()))
            if self._in_memory:
                return super().write(statement, values)
        self._written.append((statement, values))
        return changed

    def look(self) -> None:
        """See whether the file is still where others find it; who has it open goes on with it either way."""
        try:
            there = self._identity == _identity(self._path)
        except OSError:
            there = False
        if not there and not self.lost:
            self._tell(f"the run's state in {self._path} was removed, or is not the run's any more")

    def _is_whole(self) -> bool:
        """Whether nobody has written over the file, as far as its first bytes tell: SQLite may not notice."""
        return os.pread(self._file, len(_HEADER), 0) == _HEADER

    def _known(self) -> Iterable[str]:
        return (self._slots or {}).keys()

    def _state(self, slot: str) -> list[tuple[Any, ...]]:
        return self.fetch("SELECT state FROM slots WHERE slot = ?", (slot,))

    def _see_to_it_that(self, all_are_there: bool) -> None:
        if not all_are_there and not self._in_memory:
            self._go_on_in_memory(
                StateError(f"the run's state in {self._path} is damaged: it is not what was written")
            )

    def _tell(self, why: str) -> None:
        self.lost = why
        with suppress(OSError):  # the log may be on the same disk
            print(f"pytest-agb: {why}; no more sessions are created", file=sys.stderr, flush=True)

    def _go_on_in_memory(self, error: StateError) -> None:
        if self._in_memory or self._slots is None:  # what was never read can't be remembered
            raise error
        self._in_memory = True
        self._tell(str(error))
        memory = sqlite3.connect(":memory:", isolation_level=None)
        memory.executescript(SCHEMA)
        memory.executemany(_INSERT, map(slots.to_row, self._slots.values()))
        for statement, values in self._written:
            memory.execute(statement, values)
        self._replace(memory)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
