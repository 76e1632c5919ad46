"""A service without sockets or time: what a call does and when its answer comes are two things."""

from __future__ import annotations

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
    QuotaError,
    RefusedError,
    Session,
    SessionResult,
    ThrottledError,
    UnavailableError,
    wire,
)


@dataclass
class Sandbox:
    """A session as the service knows it."""

    labels: Mapping[str, str]
    created_at: float
    #: A release was accepted.
    released: bool = False
    gone_at: float = float("inf")


class Service:
    """Sessions of one account, the run's and others'."""

    def __init__(self, chance: random.Random, foreign: int = 5) -> None:
        self.chance = chance
        self.now = 1000.0
        self.sessions: dict[str, Sandbox] = {}
        self.quota: int | None = None
        #: How likely a call goes wrong.
        self.trouble = 0.0
        self.label_lag = 0.0
        #: Whether nothing can be created.
        self.down = False
        self.foreign = {self.add({"agb_run": "other"}) for _ in range(foreign)}

    def add(self, labels: Mapping[str, str]) -> str:
        session_id = f"session-{len(self.sessions)}"
        self.sessions[session_id] = Sandbox(labels, self.now)
        return session_id

    def there(self, session_id: str) -> bool:
        return self.now < self.sessions[session_id].gone_at

    def live(self) -> list[str]:
        """The sessions that are not gone, but for the foreign ones."""
        return [name for name in self.sessions if name not in self.foreign and self.there(name)]

    def goes_wrong(self) -> bool:
        return self.chance.random() < self.trouble


class FakeAGB:
    """What the keeper calls of `AGB`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(self, params: CreateSessionParams, *, reserved_labels: Mapping[str, str]) -> SessionResult:
        service = self._service
        errors: list[AGBError] = [
            RefusedError("no"),
            ThrottledError("slowly", retry_after=1.0),
            UnavailableError("no connection"),
        ]
        if service.down:
            return SessionResult.failed(UnavailableError("no connection"))
        if service.goes_wrong():
            return SessionResult.failed(service.chance.choice(errors))
        full = service.quota is not None and len(service.live()) >= service.quota
        if full:
            return SessionResult.failed(QuotaError("quota exceeded"))
        session_id = service.add({**(params.labels or {}), **reserved_labels})
        if service.goes_wrong():
            return SessionResult.failed(UnavailableError("the answer was lost", maybe_executed=True))
        if service.goes_wrong():
            service.sessions[session_id].gone_at = service.now + service.chance.random() * 20  # by itself
        session = Session(cast(AGB, self), session_id)
        return SessionResult(success=True, session=session)

    def release(self, session_id: str) -> DeleteResult:
        service = self._service
        assert session_id not in service.foreign, f"{session_id} is somebody else's"
        if service.goes_wrong():
            return DeleteResult.failed(UnavailableError("no connection"))
        session = service.sessions[session_id]
        if service.there(session_id) and not session.released:
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
        for name, session in service.sessions.items():
            shown = service.there(name) and service.now - session.created_at >= service.label_lag
            if shown and labels.items() <= session.labels.items():
                yield name

    def send(self, request: wire.Request) -> wire.Answer:
        """A keep-alive: the only call of a session that the keeper makes."""
        assert request.path == "/mcp/refreshSessionIdleTime"
        if self._service.goes_wrong():
            raise UnavailableError("no connection")
        if not self._service.there(request.query["sessionId"]):
            raise NotFoundError("no such session")
        return wire.Answer(200, {})


class Steps(Executor):
    """Calls that reach the service, and are answered, when the simulation says so, in any order."""

    def __init__(self) -> None:
        self._sent: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._done: list[tuple[Any, Future[Any]]] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._sent.append((call, future))
        return future

    def advance(self, chance: random.Random, likely: float) -> None:
        """Have some calls reach the service, and some answers come back."""
        for waiting, step in ((self._done, self._answer), (self._sent, self._reach)):
            for _ in range(len(waiting)):
                if chance.random() < likely:
                    step(chance.randrange(len(waiting)))

    def lose(self, chance: random.Random) -> None:
        """Whoever asked has died: what was sent may still reach the service, and nobody hears of it."""
        for call, _ in self._sent:
            if chance.random() < 0.5:
                call()
        self._sent.clear()
        self._done.clear()

    def _reach(self, index: int) -> None:
        call, future = self._sent.pop(index)
        self._done.append((call(), future))

    def _answer(self, index: int) -> None:
        answer, future = self._done.pop(index)
        future.set_result(answer)
