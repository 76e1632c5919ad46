"""A service without sockets or time: what a call does and when its answer comes are two things."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, cast

from pytest_agb.client import (
    AGB,
    AGBError,
    CreateSessionParams,
    DeleteResult,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaError,
    RefusedError,
    Session,
    SessionResult,
    ThrottledError,
    UnavailableError,
)
from pytest_agb.client.api import messages


@dataclass
class Sandbox:
    """A session as the service knows it."""

    labels: Mapping[str, str]
    created_at: float
    last_used: float
    #: A release was accepted.
    released: bool = False
    gone_at: float = float("inf")
    #: Its create was answered by a refusal.
    denied: bool = False


#: Labels of others' sessions. Some look like ours, and some have none.
FOREIGN: list[Mapping[str, str]] = [
    {"agb_run": "other"},
    {},
    {"created_by": "pytest-agb", "agb_run": "other", "agb_slot": "0123456789abcdef"},
    {"created_by": "agb-sdk", "project": "demo"},
]


class Service:
    """Sessions of one account, the run's and others'."""

    def __init__(self, chance: random.Random, foreign: int = 8) -> None:
        self.chance = chance
        self.now = 1000.0
        self.sessions: dict[str, Sandbox] = {}
        self.quota: int | None = None
        #: How likely a call goes wrong.
        self.trouble = 0.0
        #: Age from which on a session is listed, and from which on its labels can be read.
        self.label_lag = 0.0
        self.readable_lag = 0.0
        #: How long a session is listed after its end, and whether it is while it is being deleted.
        self.stale = 0.0
        self.lists_deleting = True
        #: How likely a listing ignores its filter, and a create is answered with an ID that was given before.
        self.unfiltered = 0.0
        self.repeats = 0.0
        #: How likely a create is carried out and refused, a release accepted and forgotten, a listing broken
        #: off or confused, and a keep-alive refused.
        self.denies = 0.0
        self.forgets = 0.0
        self.confused = 0.0
        self.refuses_keeping = 0.0
        #: Seconds without a call, and in all, after which a session ends by itself.
        self.idle_timeout = float("inf")
        self.max_lifetime = float("inf")
        #: Such IDs as the run should see through, and IDs of sessions that are over, which may be given anew.
        self.repeatable: Callable[[], list[str]] = list
        self.reusable: Callable[[], list[str]] = list
        #: IDs of others' sessions that creates were answered with, whose labels can be read.
        self.named: set[str] = set()
        self._number = 0
        #: Whether nothing can be created.
        self.down = False
        #: Sessions of others, and their labels.
        self.foreign = {self.add(FOREIGN[number % len(FOREIGN)]) for number in range(foreign)}

    def works(self) -> None:
        """Let nothing go wrong from now on, but for what is late."""
        self.trouble = self.repeats = self.denies = self.forgets = 0.0
        self.confused = self.refuses_keeping = 0.0
        self.quota = None

    def add(self, labels: Mapping[str, str]) -> str:
        session_id = f"session-{self._number}"
        self._number += 1
        self.sessions[session_id] = Sandbox(labels, self.now, self.now)
        return session_id

    def add_again(self, labels: Mapping[str, str]) -> str:
        """Add a session, perhaps under the ID of one that is over."""
        over = self.reusable() if self.chance.random() < 3 * self.repeats else []
        if not over:
            return self.add(labels)
        session_id = self.chance.choice(over)
        self.sessions[session_id] = Sandbox(labels, self.now, self.now)
        return session_id

    def there(self, session_id: str) -> bool:
        session = self.sessions[session_id]
        idle = self.now - session.last_used >= self.idle_timeout
        old = self.now - session.created_at >= self.max_lifetime
        if (idle or old) and session_id not in self.foreign and self.now < session.gone_at:
            session.gone_at = self.now
        return self.now < session.gone_at

    def live(self) -> list[str]:
        """The sessions that are not gone, but for the foreign ones."""
        return [name for name in self.sessions if name not in self.foreign and self.there(name)]

    def goes_wrong(self) -> bool:
        return self.happens(self.trouble)

    def happens(self, likely: float) -> bool:
        return self.chance.random() < likely


class FakeAGB:
    """What the keeper calls of `AGB`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(self, params: CreateSessionParams, *, reserved_labels: Mapping[str, str]) -> SessionResult:
        service = self._service
        refusals: list[AGBError] = [
            RefusedError("no", http_status=400),
            ThrottledError("slowly", retry_after=1.0, http_status=429),
        ]
        if service.down:
            return SessionResult.failed(UnavailableError("no connection"))
        if service.goes_wrong():
            return SessionResult.failed(service.chance.choice([*refusals, UnavailableError("no connection")]))
        if service.goes_wrong():
            return SessionResult.failed(UnavailableError("broken", http_status=503, maybe_executed=True))
        full = service.quota is not None and len(service.live()) >= service.quota
        if full:
            return SessionResult.failed(QuotaError("quota exceeded", http_status=429))
        given_before = service.repeatable() if service.happens(service.repeats) else []
        if given_before and service.happens(0.5):  # the answer to another call, and no session
            return self._answer(service.chance.choice(given_before))
        session_id = service.add_again({**(params.labels or {}), **reserved_labels})
        if service.happens(service.repeats) and len(service.foreign) < 20:
            service.foreign.add(service.add({**reserved_labels, "agb_run": "other"}))  # somebody's copy
        if service.happens(service.denies):
            service.sessions[session_id].denied = True
            hollow = ProtocolError("no ID", http_status=200, maybe_executed=True)
            return SessionResult.failed(service.chance.choice([*refusals, hollow]))
        if service.goes_wrong():
            return SessionResult.failed(UnavailableError("the answer was lost", maybe_executed=True))
        if service.goes_wrong():
            service.sessions[session_id].gone_at = service.now + service.chance.random() * 20  # by itself
        return self._answer(service.chance.choice(given_before) if given_before else session_id)

    def _answer(self, session_id: str) -> SessionResult:
        if session_id in self._service.foreign:
            self._service.named.add(session_id)
        return SessionResult(success=True, session=Session(cast(AGB, self), session_id))

    def release(self, session_id: str) -> DeleteResult:
        service = self._service
        assert session_id not in service.foreign, f"{session_id} is somebody else's"
        if service.goes_wrong():
            return DeleteResult.failed(UnavailableError("no connection"))
        session = service.sessions[session_id]
        begins = service.there(session_id) and session.gone_at == float("inf")
        if begins and not service.happens(service.forgets):
            session.gone_at = service.now + service.chance.random() * 3
        session.released = True
        if service.goes_wrong():
            return DeleteResult.failed(UnavailableError("the answer was lost", maybe_executed=True))
        return DeleteResult(success=True)

    def is_gone(self, session_id: str) -> bool:
        if self._service.goes_wrong():
            raise UnavailableError("no connection")
        return not self._service.there(session_id)

    def iter_session_ids(self, labels: Mapping[str, str]) -> Iterator[str]:
        service = self._service
        if service.goes_wrong():
            raise UnavailableError("no connection")
        unfiltered = service.happens(service.unfiltered)
        confused = service.happens(service.confused)
        for name, session in list(service.sessions.items()):
            there = service.there(name) or service.now < session.gone_at + service.stale
            late = service.now - session.created_at < service.label_lag
            hidden = session.released and not service.lists_deleting
            if there and not late and not hidden and (unfiltered or labels.items() <= session.labels.items()):
                yield name
                if confused and service.happens(0.3):
                    raise ProtocolError("the pages go round in a circle")

    def send(self, request: messages.Request) -> messages.Answer:
        """A keep-alive, or a question for labels: the only calls of a session that the keeper makes."""
        service, name = self._service, request.query["sessionId"]
        assert request.path in ("/mcp/refreshSessionIdleTime", "/sdk/GetLabel")
        if name not in service.named and service.goes_wrong():
            raise UnavailableError("no connection")
        if not service.there(name):
            raise NotFoundError("no such session")
        session = service.sessions[name]
        if request.path == "/mcp/refreshSessionIdleTime":
            if service.happens(service.refuses_keeping):
                raise PermissionDeniedError("no", http_status=403)
            session.last_used = service.now
            return messages.Answer(200, {})
        readable = service.now - session.created_at >= service.readable_lag
        labels = json.dumps(session.labels if readable else {})
        return messages.Answer(200, {"data": {"labels": labels}})


class Steps(Executor):
    """Calls that reach the service, and are answered, when the simulation says so, in any order."""

    def __init__(self, sent: Callable[[], None] = lambda: None) -> None:
        """``sent`` is called when a call has been sent."""
        self._told = sent
        self._sent: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._done: list[tuple[Any, Future[Any]]] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._sent.append((call, future))
        self._told()
        return future

    def advance(self, chance: random.Random, likely: float) -> None:
        """Have some calls reach the service, and some answers come back."""
        for waiting, step in ((self._done, self._answer), (self._sent, self._reach)):
            for _ in range(len(waiting)):
                if chance.random() < likely:
                    step(chance.randrange(len(waiting)))

    def arrive(self) -> None:
        """Have all that was sent reach the service."""
        while self._sent:
            self._reach(0)

    def lose(self, reaches: Callable[[], bool]) -> None:
        """Whoever asked has died: what was sent may still reach the service, and nobody hears of it."""
        for call, _ in self._sent:
            if reaches():
                call()
        self._sent.clear()
        self._done.clear()

    def _reach(self, index: int) -> None:
        call, future = self._sent.pop(index)
        self._done.append((call(), future))

    def _answer(self, index: int) -> None:
        answer, future = self._done.pop(index)
        future.set_result(answer)
