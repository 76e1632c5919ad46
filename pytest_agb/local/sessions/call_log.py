"""What was called in a session, when, and what it answered: for its page."""

from __future__ import annotations

import collections
import reprlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_agb.local.sessions.tool_schemas import SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable

#: What is remembered of a session: calls, arguments of each, characters of one text and of all together.
CALLS = 100
ARGUMENTS = 10
TEXT_CHARACTERS = 2000
ALL_CHARACTERS = 50_000

_SHORTENED = reprlib.Repr()
_SHORTENED.maxlevel = 2
_SHORTENED.maxdict = _SHORTENED.maxlist = 5
_SHORTENED.maxstring = _SHORTENED.maxother = _SHORTENED.maxlong = 200


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
    #: Characters that it counts for; 0 once it is forgotten.
    counted: int = 0


class CallLog:
    """The last calls of a session, oldest first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._counted = 0
        self.entries: collections.deque[Entry] = collections.deque()

    def begins(self, tool: str, arguments: dict[str, Any]) -> Entry:
        """Note that a call begins. Whatever it is given may be wrong still."""
        texts = {_cut(name): _text(name, value) for name, value in [*arguments.items()][:ARGUMENTS]}
        entry = Entry(_cut(tool), texts, self._clock())
        self.entries.append(entry)
        self._count(entry, sum(map(len, (entry.tool, *texts, *texts.values()))))
        return entry

    def ends(self, entry: Entry, ok: bool, answer: str) -> None:
        """Note what a call answered."""
        entry.seconds, entry.ok, entry.answer = self._clock() - entry.began, ok, _cut(answer)
        if entry.counted:
            self._count(entry, len(entry.answer))

    def _count(self, entry: Entry, characters: int) -> None:
        """Count what is to be remembered, and forget the oldest beyond the bounds, but never the last."""
        entry.counted += characters
        self._counted += characters
        while len(self.entries) > 1 and (len(self.entries) > CALLS or self._counted > ALL_CHARACTERS):
            oldest = self.entries.popleft()
            self._counted -= oldest.counted
            oldest.counted = 0


def _text(name: str, value: Any) -> str:
    if name in SECRETS:
        names = [_cut(str(key), 100) for key in value][:ARGUMENTS] if isinstance(value, dict) else []
        return ", ".join(f"{key}=..." for key in names) or "..."
    return _cut(value if isinstance(value, str) else _SHORTENED.repr(value))


def _cut(text: str, characters: int = TEXT_CHARACTERS) -> str:
    # The dots are ASCII: one other character would double the size of the whole string.
    return text if len(text) <= characters else f"{text[:characters]}... ({len(text)} characters in all)"
