"""Looks for the session of a create whose answer was lost: listed, it is known by its own slot label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb.client import (
    AGBError,
    AGBTimeoutError,
    NotFoundError,
    ThrottledError,
    UnavailableError,
)
from pytest_agb.run.ownership import read_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_agb.client import AGB
    from pytest_agb.keeper.jobs import Jobs
    from pytest_agb.run.ownership import Ownership
    from pytest_agb.store.slots import SlotTable

#: Sessions whose labels one call of a thread reads, and those of one look: a listing that ignores its filter
#: may name thousands. What is left over is read in the next look, which follows at once.
AT_ONCE = 20
IN_A_LOOK = 200


@dataclass(frozen=True)
class Look:
    """How a look for a session ended."""

    #: The session, by its own labels.
    session_id: str | None = None
    #: Why there is none: words for the slot's note.
    trouble: str = ""
    #: Whether the listing itself failed.
    unlisted: bool = False
    #: Whether the service gave an answer to all that was asked.
    answered: bool = True
    #: Whether there are sessions that this look did not come to.
    more: bool = False
    #: Whether each that was listed has said that it is another one.
    absent: bool = False


@dataclass
class _Search:
    """A look under way."""

    slot: str
    agb: AGB
    then: Callable[[Look], None]
    #: Sessions that this look is still to come to, and whether there are more than it will come to.
    to_read: list[str]
    more: bool
    #: Why the listing broke off, if it did.
    unlisted: AGBError | None
    #: How many had no labels yet.
    unlabelled: int = 0
    error: AGBError | None = None

    def take(self, asked: Sequence[str], answers: Mapping[str, Mapping[str, str] | AGBError]) -> None:
        """Go on with what some sessions were ``asked``, by this look or another, and how they answered."""
        for name in set(asked).intersection(self.to_read):
            answer = answers.get(name)
            if isinstance(answer, AGBError):
                self.error = answer
            else:
                self.unlabelled += name in answers and not answer
        self.to_read = [name for name in self.to_read if name not in asked]
        if len(answers) < len(asked):  # the service does not answer: the rest is for the next look
            self.to_read = []
            self.error = next(answer for answer in answers.values() if isinstance(answer, AGBError))


class Finder:
    """Any number of looks at once; what one of them reads the others need not ask for."""

    def __init__(
        self,
        slots: SlotTable,
        ownership: Ownership,
        jobs: Jobs,
        *,
        at_once: int = AT_ONCE,
        in_a_look: int = IN_A_LOOK,
    ) -> None:
        self._slots = slots
        self._ownership = ownership
        self._jobs = jobs
        self._at_once = at_once
        self._in_a_look = in_a_look
        #: Sessions whose labels are being read.
        self._being_read: set[str] = set()
        #: Looks that wait for those.
        self._waiting: list[_Search] = []

    def look(self, slot: str, agb: AGB, then: Callable[[Look], None]) -> None:
        """Look for the session of ``slot`` once, and call ``then`` with what came of it."""

        def call() -> tuple[list[str], AGBError | None]:
            found: list[str] = []
            try:
                found.extend(agb.iter_session_ids(labels={label_rules.SLOT: slot}))
            except AGBError as error:
                return found, error
            return found, None

        def listed(answer: tuple[list[str], AGBError | None]) -> None:
            found, error = answer
            held = self._slots.held()
            unknown = self._ownership.unknown(name for name in found if name not in held)
            to_read, rest = unknown[: self._in_a_look], unknown[self._in_a_look :]
            self._go_on(_Search(slot, agb, then, to_read, more=bool(rest), unlisted=error))

        self._jobs.start(call, listed)

    def _go_on(self, search: _Search) -> None:
        session_id = self._ownership.session_of(search.slot)
        if session_id is not None and session_id not in self._slots.held():
            search.then(Look(session_id))
            return
        search.to_read = self._ownership.unknown(search.to_read)
        batch = [name for name in search.to_read if name not in self._being_read][: self._at_once]
        if not batch:
            if search.to_read:  # another look is reading what is left
                self._waiting.append(search)
            else:
                search.then(_nothing(search))
            return
        self._being_read.update(batch)

        def read(answers: Mapping[str, Mapping[str, str] | AGBError]) -> None:
            self._being_read.difference_update(batch)
            for name, answer in answers.items():
                self._ownership.learn(name, {} if isinstance(answer, AGBError) else answer)
            waiting, self._waiting = self._waiting, []
            for each in (search, *waiting):
                each.take(batch, answers)
                self._go_on(each)

        self._jobs.start(lambda: _labels(search.agb, batch), read)


def _labels(agb: AGB, session_ids: Sequence[str]) -> dict[str, Mapping[str, str] | AGBError]:
    """What each session answers, up to the first for which the service itself does not."""
    answers: dict[str, Mapping[str, str] | AGBError] = {}
    for session_id in session_ids:
        try:
            answers[session_id] = read_labels(agb, session_id)
        except NotFoundError:  # it has ended, or does not show up yet
            answers[session_id] = {}
        except AGBError as error:
            answers[session_id] = error
            if isinstance(error, (UnavailableError, AGBTimeoutError, ThrottledError)):
                break
    return answers


def _nothing(search: _Search) -> Look:
    if search.unlisted is not None:
        return Look(trouble=f"looking for it failed: {search.unlisted}", unlisted=True, answered=False)
    if search.error is not None:
        return Look(trouble=f"labels could not be read: {search.error}", answered=False)
    if search.more:
        trouble = "not all sessions that were listed were asked for their labels"
        return Look(trouble=trouble, answered=False, more=True)
    if search.unlabelled:
        without = f"{search.unlabelled} of those listed have no labels, and are left alone"
        return Look(trouble=f"no session with its label shows up; {without}")
    return Look(trouble="no session with its label shows up", absent=True)
