"""Which sessions live: made, found, kept alive, released, by request or by time.

    creating ──ready──▶ running ──release, idle or too old──▶ deleting ──▶ gone (forgotten)

A session can be used and listed while it is running. From the moment its release begins it is not found,
but for its status, which is DELETING until it is gone. It counts towards the quota in all three states.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_agb.local import background
from pytest_agb.local.sessions import tool_schemas
from pytest_agb.local.sessions.call_log import CallLog
from pytest_agb.local.sessions.sandbox import SandboxError
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_agb.local.sessions.rules import SessionRules
    from pytest_agb.local.sessions.sandbox import Answer, ForkServerHandle, Sandbox

logger = logging.getLogger("pytest_agb.local")

#: The images that a code sandbox of this machine can stand in for.
IMAGES = ("agb-code-space-1", "agb-code-space-2")
_ELSEWHERE = ("agb-browser", "agb-computer", "agb-mobile")


#: The statuses of a session on the wire, as the SDK's tests and mocks have them.
RUNNING, DELETING = "RUNNING", "DELETING"


class SessionNotFoundError(LookupError):
    """There is no such session, or no longer."""

    def __init__(self) -> None:
        # By these words the SDK's delete knows that it is done.
        super().__init__("Session not found")


class QuotaError(RuntimeError):
    """There are as many sessions as there may be; the message says how many."""


class ImageNotFoundError(LookupError):
    """No such image; the message lists those there are."""


class ImageNotHereError(LookupError):
    """The service has the image, this machine can't; the message says what to do."""


@dataclass
class Session:
    """One session. Times are `time.monotonic`'s, in seconds."""

    session_id: str
    #: Rises with each session: the order of listings.
    serial: int
    image: str
    labels: dict[str, str]
    idle_timeout_seconds: float
    sandbox: Sandbox
    created: float
    last_used: float
    #: Calls under way: a session at work is not idle.
    busy: int = 0
    status: str = RUNNING
    #: Set when it is not running any more.
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    #: What is done before the sandbox ends, whatever ends it.
    before_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list, repr=False)
    #: Opens what is the session's without the API key.
    token: Secret = field(default_factory=lambda: Secret(secrets.token_urlsafe(24)))
    #: Stand for the service's own identifiers, which its clients show.
    instance_id: str = field(default_factory=lambda: f"ai-{secrets.token_hex(8)}")
    resource_id: str = field(default_factory=lambda: f"p-{secrets.token_hex(8)}")
    history: CallLog = field(default_factory=CallLog, repr=False)


@dataclass(frozen=True)
class Life:
    """How far a session is from its end, in seconds."""

    age_seconds: float
    maximum_seconds: float
    unused_seconds: float


class Sessions:
    """All sessions of the server."""

    def __init__(
        self,
        fork_server: ForkServerHandle,
        rules: SessionRules,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fork_server = fork_server
        self._rules = rules
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._serials = itertools.count(1)
        self._creating = 0
        self._endings: set[asyncio.Task[None]] = set()
        #: Set when the server ends: no release is put off any more.
        self._closing = asyncio.Event()

    async def create(self, image: str, labels: dict[str, str], idle_seconds: float | None) -> Session:
        """Make a session and wait until it answers.

        Raises:
            ImageNotFoundError, ImageNotHereError, QuotaError, sandbox.SandboxError
        """
        self.check_image(image)
        most = self._rules.maximum_sessions
        if most is not None and len(self._sessions) + self._creating >= most:
            raise QuotaError(f"The quota of {most} sessions is exceeded")
        session_id = f"session-{secrets.token_hex(12)}"
        self._creating += 1
        try:
            sandbox = await self._fork_server.spawn(session_id)
        finally:
            self._creating -= 1
        now = self._clock()
        idle_seconds = idle_seconds or self._rules.default_idle_seconds
        session = Session(session_id, next(self._serials), image, labels, idle_seconds, sandbox, now, now)
        self._sessions[session_id] = session
        return session

    def check_image(self, image: str) -> None:
        """Refuse what is no image of this backend.

        Raises:
            ImageNotFoundError, ImageNotHereError: with a message for the user.
        """
        if image in IMAGES or (self._rules.all_images and image.startswith(_ELSEWHERE)):
            return
        if image.startswith(_ELSEWHERE):
            raise ImageNotHereError(
                f"Image [{image}] is not available on the local backend, which has no browser, desktop or "
                "phone. Set AGB_API_KEY to run this test in the AGB cloud, or use one of: "
                f"{', '.join(IMAGES)}."
            )
        raise ImageNotFoundError(
            f"Image [{image}] is not found. The local backend's available images: {', '.join(IMAGES)}."
        )

    def get(self, session_id: str) -> Session:
        """Return a running session, whose idle time starts anew.

        Raises:
            SessionNotFoundError
        """
        session = self.peek(session_id)
        if session.status != RUNNING:
            raise SessionNotFoundError
        session.last_used = self._clock()
        return session

    def peek(self, session_id: str) -> Session:
        """Return a session that is not gone, and leave its idle time alone.

        Raises:
            SessionNotFoundError
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionNotFoundError
        return session

    def by_resource(self, resource_id: str) -> Session | None:
        """Return the session that is not gone of this resource ID, and leave its idle time alone."""
        return next((found for found in self._sessions.values() if found.resource_id == resource_id), None)

    def life(self, session: Session) -> Life:
        """Say how long a session has been there, and been unused."""
        now = self._clock()
        unused = 0.0 if session.busy else now - session.last_used
        return Life(now - session.created, self._rules.maximum_lifetime_seconds, unused)

    def find(self, labels: dict[str, str]) -> list[Session]:
        """Return the running sessions that carry all of ``labels``, oldest first."""
        wanted = labels.items()
        return [
            session
            for session in self._sessions.values()
            if session.status == RUNNING and wanted <= session.labels.items()
        ]

    async def call(
        self,
        session_id: str,
        tool: str,
        given: dict[str, Any],
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Answer:
        """Call a tool of a session; ``on_event`` gets the output of code while it runs.

        Raises:
            SessionNotFoundError, tools.ArgumentError, sandbox.SandboxError
        """
        session = self.get(session_id)
        entry = session.history.begins(tool, given)
        session.busy += 1
        try:
            arguments = tool_schemas.check(tool, given)
            seconds = tool_schemas.TOOLS[tool].seconds(arguments)
            answer = await session.sandbox.call(tool, arguments, seconds, on_event)
            session.history.ends(entry, answer.ok, answer.text)
            return answer
        except (tool_schemas.ArgumentError, SandboxError) as error:
            session.history.ends(entry, False, str(error))
            raise
        except BaseException as error:
            session.history.ends(entry, False, f"broken off: {type(error).__name__}")
            raise
        finally:
            session.busy -= 1
            session.last_used = self._clock()

    async def release(self, session_id: str, reason: str = "the session was released") -> None:
        """End a session. With `SessionRules.release_seconds` it ends later, else before this returns.

        Raises:
            SessionNotFoundError
        """
        ending = self._begin_end(self.get(session_id), reason)
        if not self._rules.release_seconds:
            await asyncio.shield(ending)  # it goes on whatever becomes of who asked for it

    def _begin_end(self, session: Session, reason: str) -> asyncio.Task[None]:
        session.status = DELETING
        if not self._rules.release_seconds:
            # Nobody is to see it on its way out: a status that is no end costs the SDK's delete a second.
            del self._sessions[session.session_id]
        ending = asyncio.create_task(self._end_in_time(session, reason), name=f"end of {session.session_id}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return background.watch(ending)

    async def _end_in_time(self, session: Session, reason: str) -> None:
        try:
            if self._rules.release_seconds:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._rules.release_seconds)
            await self._end(session, reason)
        finally:
            self._sessions.pop(session.session_id, None)

    async def _end(self, session: Session, reason: str) -> None:
        while session.before_end:
            step = session.before_end.pop(0)
            try:
                await step()
            except Exception as error:  # the sandbox must end all the same
                logger.error(
                    "%s: %s before its end", session.session_id, type(error).__name__, exc_info=error
                )
        session.sandbox.close(reason)
        session.ended.set()
        await self._fork_server.end(session.session_id)

    async def release_all(self) -> None:
        """End every session now, and those that are ending: when this returns, nothing of them is left."""
        self._closing.set()
        for session in self.find({}):
            self._begin_end(session, "the server is shutting down")
        await asyncio.gather(*self._endings, return_exceptions=True)  # what one dies of is logged

    async def release_expired(self) -> None:
        """Release the sessions that nobody used for their idle timeout, and those past their lifetime.

        Their ends begin at once and go on after this returns: none waits for the uploads of another.
        """
        now = self._clock()
        for session in self.find({}):
            if now - session.created >= self._rules.maximum_lifetime_seconds:
                reason = "the session reached its maximum lifetime"
            elif not session.busy and now - session.last_used >= session.idle_timeout_seconds:
                reason = "the session was idle for too long"
            else:
                continue
            logger.info("%s: %s", session.session_id, reason)
            self._begin_end(session, reason)

    async def reap_forever(self, interval_seconds: float = 0.5) -> None:
        """Release what expires, until cancelled."""
        await background.repeat(self.release_expired, interval_seconds, "release of expired sessions")
