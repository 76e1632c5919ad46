"""A leased session that notices its own death in what its calls are answered.

A session that is gone, or that answers nothing any more, would fail each later test of those that share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_agb import real
from pytest_agb.client import (
    AGBError,
    AGBTimeoutError,
    Session,
    SessionGoneError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.client.api.messages import Answer, Request
    from pytest_agb.client.results import SessionStatusResult

#: Of waiting for answers that did not come, with none in between.
_SILENT_SECONDS = 30.0


class WatchedSession(Session):
    """A session that says when it is dead."""

    def __init__(
        self,
        *args: Any,
        on_death: Callable[[str], None],
        clock: Callable[[], float] = real.boot_seconds,
        **keywords: Any,
    ) -> None:
        """``on_death`` is called with the reason, at each call that shows it; else as `Session`."""
        super().__init__(*args, **keywords)
        self._on_death = on_death
        self._clock = clock
        self._silent_seconds = 0.0
        self._silent_until = clock()

    def become(self, other: Session) -> None:
        """Be ``other`` from now on, for all who hold this object."""
        super().become(other)
        if isinstance(other, WatchedSession):
            self._on_death = other._on_death
            self._silent_seconds = other._silent_seconds

    def send(self, request: Request) -> Answer:
        """As `Session.send`."""
        began = self._clock()
        try:
            answer = super().send(request)
        except AGBError as error:
            self._learn(error, began)
            raise
        self._silent_seconds = 0.0
        return answer

    def get_status(self) -> SessionStatusResult:
        """As `Session.get_status`."""
        began = self._clock()
        result = super().get_status()
        if result.error is None:
            self._silent_seconds = 0.0
        else:
            self._learn(result.error, began)
        return result

    def _learn(self, error: AGBError, began: float) -> None:
        if self.released:  # its lease is over: nothing was sent
            return
        if isinstance(error, AGBTimeoutError):
            self._was_silent(began)
        elif not isinstance(error, UnavailableError):  # which says nothing of the session, either way
            self._silent_seconds = 0.0
            if isinstance(error, SessionGoneError):
                self._on_death(f"it is gone: {error.message}")

    def _was_silent(self, began: float) -> None:
        now = self._clock()
        # What threads waited at the same time counts once.
        self._silent_seconds += max(0.0, now - max(began, self._silent_until))
        self._silent_until = now
        if self._silent_seconds >= _SILENT_SECONDS:
            self._on_death(f"it answered nothing for {self._silent_seconds:.0f} s")
