"""What a process does with its sessions, kept for the test that runs now.

Nothing is worked out here: a call costs a test that passes microseconds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_agb import real
from pytest_agb.client.tools.call_reader import read_call
from pytest_agb.dossier.masking import Mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_agb.client import AGBError, Call
    from pytest_agb.client.calls import Happened
    from pytest_agb.secret import Secret

_logger = logging.getLogger("pytest_agb")


@dataclass
class SessionFacts:
    """A session that this process has, or had in the test that runs now."""

    session_id: str
    image: str
    #: The user's.
    labels: Mapping[str, str]
    #: Unix seconds at which its create was sent.
    created_at: float
    #: Leases so far.
    uses: int
    #: Seconds that its test waited for it.
    waited: float
    #: Why it ended before its lease did; empty if it did not.
    died: str = ""
    #: Whether no later test can have it.
    ended: bool = False
    #: The tests before this one that called it, each with how many calls it made.
    earlier: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A session that was asked for and could not be had."""

    error: AGBError
    #: Seconds.
    waited: float


class Journal:
    """An `Observer` of this process's clients, and what its pool tells."""

    def __init__(self, run_id: str, api_key: Secret) -> None:
        self.run_id = run_id
        #: Of the test that runs now, its node ID.
        self.test = ""
        self.phase = ""
        self.mask = Mask()
        self._began = real.boot_seconds()
        self._calls: list[Happened] = []
        self._sessions: dict[str, SessionFacts] = {}
        #: IDs of the sessions that were leased for the test that runs now.
        self._new: list[str] = []
        #: What it could not have.
        self.refused: list[Refused] = []
        self.mask.learn(api_key.reveal(), "API key")

    # ---- told by whoever runs tests --------------------------------------------------------------------

    def begins(self, test: str, phase: str) -> None:
        """A test begins, or another attempt at it."""
        for happened in self._calls:
            facts = self._sessions.get(happened.session_id)
            if facts is not None:
                facts.earlier[self.test] = facts.earlier.get(self.test, 0) + 1
        self._sessions = {key: facts for key, facts in self._sessions.items() if not facts.ended}
        self._calls, self._new, self.refused = [], [], []
        self.test, self.phase = test, phase
        self._began = real.boot_seconds()

    # ---- told by the pool ------------------------------------------------------------------------------

    def leased(self, facts: SessionFacts) -> None:
        """The test that runs now has a session."""
        known = self._sessions.get(facts.session_id)
        if known is not None:  # it is leased again
            facts.earlier = known.earlier
        self._sessions[facts.session_id] = facts
        self._new.append(facts.session_id)

    def could_not_lease(self, error: AGBError, waited: float) -> None:
        """The test that runs now asked for a session in vain, and waited so many seconds for it."""
        self.refused.append(Refused(error, waited))

    def died(self, session_id: str, why: str) -> None:
        """A session can't be used any more, before its time."""
        facts = self._sessions.get(session_id)
        if facts is not None:
            facts.died = facts.died or why

    def gives_up(self, session_id: str) -> None:
        """No test will have this session again."""
        facts = self._sessions.get(session_id)
        if facts is not None:
            facts.ended = True

    # ---- told by the client, see `pytest_agb.client.calls.Observer` ------------------------------------

    def ended(self, happened: Happened) -> None:
        """A call is over."""
        if envs := happened.args.get("envs"):
            self.mask.learn_envs(envs)
        happened.phase = self.phase
        self._calls.append(happened)
        if _logger.isEnabledFor(logging.DEBUG):
            self._log(self._read(happened))

    def learned(self, secret: str, name: str) -> None:
        """A call gave its caller what opens a session."""
        self.mask.learn(secret, name)

    def calls(self, session_id: str) -> Sequence[Call]:
        """The calls in a session, of the test that runs now, the oldest first."""
        return [self._read(happened) for happened in self._calls if happened.session_id == session_id]

    # ---- asked by who tells of a test ------------------------------------------------------------------

    def all_calls(self) -> list[Call]:
        """All calls of the test that runs now, the oldest first."""
        return [self._read(happened) for happened in self._calls]

    def sessions(self, shared: Sequence[str] = ()) -> list[SessionFacts]:
        """The sessions of the test that runs now: leased for it, called by it, or ``shared`` with it."""
        called = [happened.session_id for happened in self._calls]
        ids = dict.fromkeys([*shared, *self._new, *called])
        return [self._sessions[session_id] for session_id in ids if session_id in self._sessions]

    def has_something(self, shared: Sequence[str] = ()) -> bool:
        """Whether the test that runs now has used a session, has asked for one, or shares one."""
        return bool(self._calls or self._new or self.refused or shared)

    def _read(self, happened: Happened) -> Call:
        if happened.read is None:
            happened.read = read_call(happened, began=happened.at - self._began)
        return happened.read

    def _log(self, call: Call) -> None:
        from pytest_agb.dossier import text  # only where somebody listens: start-up time

        line = self.mask.text(text.one_line(call))
        _logger.debug("run %s, session %s: %s", self.run_id, call.session_id, line)
