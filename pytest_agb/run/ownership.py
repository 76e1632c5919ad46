"""Whose the sessions of a listing are: their own labels say so, since a listing may ignore its filter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb import real
from pytest_agb.client import AGBError, NotFoundError, Session
from pytest_agb.client.api import endpoints, responses
from pytest_agb.client.api.messages import Repeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_agb.client import AGB

#: Seconds that `roll_call` reads labels at the most, and those between two tries where there are none yet.
ROLL_CALL_SECONDS = 5.0
_ASK_AGAIN_SECONDS = 0.5


class Ownership:
    """What labels have said, so that each session is asked only until it has said it."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        #: Of each session that is known: whether it is of this run.
        self._ours: dict[str, bool] = {}
        #: The session of each slot of the run, as far as labels have named it.
        self._sessions: dict[str, str] = {}
        #: How often each session that is not known was asked.
        self._asked: Counter[str] = Counter()

    def learn(self, session_id: str, labels: Mapping[str, str]) -> None:
        """Learn from a session's labels. None at all say nothing: they show up late."""
        if not labels:
            self._asked[session_id] += 1
            return
        del self._asked[session_id]
        by_us = labels.get(label_rules.CREATED_BY) == label_rules.CREATED_BY_US
        self._ours[session_id] = by_us and labels.get(label_rules.RUN) == self._run_id
        slot = labels.get(label_rules.SLOT)
        if self._ours[session_id] and slot:
            self._sessions[slot] = session_id

    def forget(self, slot: str, session_id: str | None) -> None:
        """The slot's session is gone: the service may give its ID to another one."""
        self._sessions.pop(slot, None)
        if session_id is not None:
            self._ours.pop(session_id, None)

    def session_of(self, slot: str) -> str | None:
        """The session whose labels name ``slot`` of this run."""
        return self._sessions.get(slot)

    def ours(self, session_id: str) -> bool:
        """Whether the session is known to be of this run."""
        return self._ours.get(session_id, False)

    def foreign(self, session_id: str) -> bool:
        """Whether the session is known to be somebody else's."""
        return not self._ours.get(session_id, True)

    def unknown(self, session_ids: Iterable[str]) -> list[str]:
        """Those that have not said whose they are; first those that were asked least often."""
        return sorted((name for name in session_ids if name not in self._ours), key=self._asked.__getitem__)


def read_labels(agb: AGB, session_id: str) -> Mapping[str, str]:
    """All labels of a session; none where they don't show up yet.

    Raises:
        AGBError: they can't be read.
    """
    labels: Mapping[str, str] = Session(agb, session_id).get_labels(include_reserved=True).check().data
    return labels


def whose(agb: AGB, session_id: str) -> Mapping[str, str]:
    """The labels of a session, asked once; none where they can't be had now."""
    request = replace(endpoints.get_labels(session_id), repeat=Repeat.NEVER)
    try:
        return responses.labels(session_id, agb.send(request))
    except AGBError:
        return {}


@dataclass(frozen=True)
class RollCall:
    """What the service lists of a run."""

    #: IDs of the sessions that have said that they are of the run.
    present: tuple[str, ...]
    #: Whether every other one has said whose it is, or may be taken for somebody else's.
    sure: bool

    @property
    def told(self) -> tuple[str, ...] | None:
        """What can be told to people; ``None`` where that is nothing."""
        return self.present if self.sure or self.present else None


def roll_call(
    agb: AGB,
    run_id: str,
    ownership: Ownership,
    *,
    but_for: Iterable[str] = (),
    clock: Callable[[], float] = real.boot_seconds,
    sleep: Callable[[float], None] = real.sleep,
) -> RollCall:
    """Ask the service which sessions of a run there are, beside those ``but_for`` which it is asked.

    Raises:
        AGBError: the service does not say.
    """
    end = clock() + ROLL_CALL_SECONDS
    while True:
        listed = set(agb.iter_session_ids(labels={label_rules.RUN: run_id})) - set(but_for)
        ended = set()
        for session_id in ownership.unknown(listed):
            if clock() >= end:
                break
            try:
                ownership.learn(session_id, read_labels(agb, session_id))
            except NotFoundError:
                ended.add(session_id)
        present = tuple(sorted(name for name in listed if ownership.ours(name)))
        unknown = ownership.unknown(listed - ended)
        # Beside sessions of others that the filter lets through, one without labels need not be ours either.
        sure = not unknown or (clock() < end and any(map(ownership.foreign, listed)))
        if sure or clock() + _ASK_AGAIN_SECONDS >= end:
            return RollCall(present, sure)
        sleep(_ASK_AGAIN_SECONDS)
