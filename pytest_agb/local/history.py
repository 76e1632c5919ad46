"""What was called in a session, when, and what it answered: for its page."""

from __future__ import annotations

import collections
import reprlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Calls that are remembered of a session, and characters of each text: together a fraction of a MiB.
CALLS = 100
TEXT_CHARACTERS = 2000

_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = TEXT_CHARACTERS
_SHORTENED.maxdict = _SHORTENED.maxlist = 20


@dataclass
class Entry:
    """One call."""

    tool: str
    #: By name, as text.
    arguments: dict[str, str]
    #: Unix time, in seconds.
    began: float
    #: How long it took, in seconds; ``None`` while it goes on.
    seconds: float | None = None
    ok: bool | None = None
    answer: str = ""


class History:
    """The last calls of a session, oldest first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.entries: collections.deque[Entry] = collections.deque(maxlen=CALLS)

    def begins(self, tool: str, arguments: dict[str, Any]) -> Entry:
        """Note that a call begins. Whatever it is given may be wrong still."""
        entry = Entry(tool, {name: _text(name, value) for name, value in arguments.items()}, self._clock())
        self.entries.append(entry)
        return entry

    def ends(self, entry: Entry, ok: bool, answer: str) -> None:
        """Note what a call answered."""
        entry.seconds, entry.ok, entry.answer = self._clock() - entry.began, ok, _cut(answer)


def _text(name: str, value: Any) -> str:
    if name == "envs" and isinstance(value, dict):  # where people pass secrets
        return _cut(", ".join(f"{key}=…" for key in value))
    return _cut(value) if isinstance(value, str) else _SHORTENED.repr(value)


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS:
        return text
    return f"{text[:TEXT_CHARACTERS]}… ({len(text)} characters in all)"
