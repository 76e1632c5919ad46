"""Which sessions live: made, found, kept alive, released, by request or by time.

    creating ──ready──▶ running ──release, idle or too old──▶ releasing ──▶ gone (forgotten)

A session is findable while it is running, and from the moment its release begins it is not found.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sandbox import Answer, ForkServerHandle, Sandbox

logger = logging.getLogger("pytest_agb.local")

#: The images that a code sandbox of this machine can stand in for.
IMAGES = ("agb-code-space-1", "agb-code-space-2")
_ELSEWHERE = ("agb-browser", "agb-computer", "agb-mobile")


class SessionNotFoundError(LookupError):
    """There is no such session, or no longer."""


class ImageNotFoundError(LookupError):
    """No such image; the message lists those there are."""


class ImageNotHereError(LookupError):
    """The service has the image, this machine can't; the message says what to do."""


def check_image(image: str) -> None:
    """Refuse what is no image of this backend.

    Raises:
        ImageNotFoundError, ImageNotHereError: with a message for the user.
    """
    if image in IMAGES:
        return
    if image.startswith(_ELSEWHERE):
        raise ImageNotHereError(
            f"Image [{image}] is not available on the local backend, which has no browser, desktop or phone. "
            f"Set AGB_API_KEY to run this test in the AGB cloud, or use one of: {', '.join(IMAGES)}."
        )
    raise ImageNotFoundError(
        f"Image [{image}] is not found. The local backend's available images: {', '.join(IMAGES)}."
    )


@dataclass
class Session:
    """One session. Times are `time.monotonic`'s, in seconds."""

    session_id: str
    image: str
    labels: dict[str, str]
    idle_timeout_seconds: float
    sandbox: Sandbox
    created: float
    last_used: float
    #: Calls under way: a session at work is not idle.
    busy: int = 0
    #: Stand for the service's own identifiers, which its clients show.
    instance_id: str = field(default_factory=lambda: f"ai-{secrets.token_hex(8)}")
    resource_id: str = field(default_factory=lambda: f"p-{secrets.token_hex(8)}")


class Sessions:
    """All sessions of the server."""

    def __init__(
        self,
        fork_server: ForkServerHandle,
        *,
        default_idle_seconds: float,
        maximum_lifetime_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fork_server = fork_server
        self._default_idle_seconds = default_idle_seconds
        self._maximum_lifetime_seconds = maximum_lifetime_seconds
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    async def create(self, image: str, labels: dict[str, str], idle_seconds: float | None) -> Session:
        """Make a session and wait until it answers.

        Raises:
            ImageNotFoundError, ImageNotHereError, sandbox.SandboxError
        """
        check_image(image)
        session_id = f"session-{secrets.token_hex(12)}"
        sandbox = await self._fork_server.spawn(session_id)
        now = self._clock()
        session = Session(
            session_id, image, labels, idle_seconds or self._default_idle_seconds, sandbox, now, now
        )
        self._sessions[session_id] = session
        return session

    def get(self, session_id: str, *, use: bool = True) -> Session:
        """Return a session; with ``use`` its idle time starts anew.

        Raises:
            SessionNotFoundError
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionNotFoundError(session_id)
        if use:
            session.last_used = self._clock()
        return session

    def find(self, labels: dict[str, str]) -> list[Session]:
        """Return the sessions that carry all of ``labels``, oldest first."""
        wanted = labels.items()
        return [session for session in self._sessions.values() if wanted <= session.labels.items()]

    async def call(self, session_id: str, tool: str, given: dict[str, Any]) -> Answer:
        """Call a tool of a session.

        Raises:
            SessionNotFoundError, tools.ArgumentError, sandbox.SandboxError
        """
        session = self.get(session_id)
        arguments = tools.check(tool, given)
        session.busy += 1
        try:
            return await session.sandbox.call(tool, arguments, tools.timeout_seconds(tool, arguments))
        finally:
            session.busy -= 1
            session.last_used = self._clock()

    async def release(self, session_id: str, reason: str = "the session was released") -> None:
        """End a session; when this returns, nothing of it is left.

        Raises:
            SessionNotFoundError
        """
        session = self._sessions.pop(session_id, None)
        if session is None:
            raise SessionNotFoundError(session_id)
        session.sandbox.close(reason)
        await self._fork_server.end(session_id)

    async def release_all(self) -> None:
        """End every session."""
        releases = [
            self.release(session_id, "the server is shutting down") for session_id in list(self._sessions)
        ]
        await asyncio.gather(*releases, return_exceptions=True)

    async def release_expired(self) -> None:
        """End the sessions that nobody used for their idle timeout, and those past their maximum lifetime."""
        now = self._clock()
        expired: dict[str, str] = {}
        for session in self._sessions.values():
            if now - session.created >= self._maximum_lifetime_seconds:
                expired[session.session_id] = "the session reached its maximum lifetime"
            elif not session.busy and now - session.last_used >= session.idle_timeout_seconds:
                expired[session.session_id] = "the session was idle for too long"
        for session_id, reason in expired.items():
            logger.info("%s: %s", session_id, reason)
            with contextlib.suppress(SessionNotFoundError):
                await self.release(session_id, reason)

    async def reap_forever(self, interval_seconds: float = 0.5) -> None:
        """Release what expires, until cancelled."""
        while True:
            await asyncio.sleep(interval_seconds)
            await self.release_expired()
