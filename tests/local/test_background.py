"""What goes on in the background of the local server neither dies unseen nor holds up its neighbours."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_agb.local import background
from pytest_agb.local.limits.rlimits import Limits
from pytest_agb.local.sessions.registry import Session, Sessions
from pytest_agb.local.sessions.rules import SessionRules
from pytest_agb.local.sessions.sandbox import ForkServerHandle

IMAGE = "agb-code-space-1"
_SECONDS = 10.0


class NoForkServer:
    """Makes nothing; of what it ends it tells."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def spawn(self, name: str) -> Any:
        class Nothing:
            def close(self, reason: str) -> None: ...

        return Nothing()

    async def end(self, name: str) -> None:
        self.ended.append(name)


class SlowUpload:
    """What a session has to do before its end, and how far it is."""

    def __init__(self, session: Session) -> None:
        self.began, self.gate, self.done = asyncio.Event(), asyncio.Event(), False
        session.before_end.append(self._upload)

    async def _upload(self) -> None:
        self.began.set()
        await self.gate.wait()
        self.done = True


def sessions_of(
    fork_server: NoForkServer, clock: Callable[[], float], rules: SessionRules | None = None
) -> Sessions:
    return Sessions(fork_server, rules or SessionRules(), clock=clock)  # type: ignore[arg-type]


async def ended(session: Session) -> None:
    await asyncio.wait_for(session.ended.wait(), _SECONDS)


def test_a_slow_upload_delays_the_end_of_no_other_session() -> None:
    async def scenario() -> None:
        now = [0.0]
        sessions = sessions_of(NoForkServer(), lambda: now[0])
        slow = await sessions.create(IMAGE, {}, 10)
        due, due_later = [await sessions.create(IMAGE, {}, seconds) for seconds in (10, 20)]
        upload = SlowUpload(slow)
        reaping = asyncio.create_task(sessions.reap_forever(0.01))
        now[0] = 10.0
        await ended(due)
        assert not due_later.ended.is_set()
        now[0] = 20.0
        await ended(due_later)
        assert upload.began.is_set()
        assert not slow.ended.is_set()
        upload.gate.set()
        await ended(slow)
        reaping.cancel()

    asyncio.run(scenario())


def test_a_look_that_fails_is_logged_and_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        looks = 0

        def clock() -> float:
            nonlocal looks
            looks += 1
            if looks == 2:  # the first is the session's creation
                raise OverflowError("the clock is broken")
            return 0.0 if looks == 1 else 1000.0

        sessions = sessions_of(NoForkServer(), clock)
        session = await sessions.create(IMAGE, {}, 10)
        reaping = asyncio.create_task(sessions.reap_forever(0.01))
        await ended(session)
        reaping.cancel()

    asyncio.run(scenario())
    (record,) = caplog.records
    assert "release of expired sessions" in record.message
    assert "the clock is broken" in caplog.text
    assert "Traceback" in caplog.text


def test_a_failure_that_lasts_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        looks = 0
        enough = asyncio.Event()

        async def work() -> None:
            nonlocal looks
            looks += 1
            if looks == 10:
                enough.set()
            raise OSError("first" if looks < 5 else "second")

        repeating = asyncio.create_task(background.repeat(work, 0.001, "a look"))
        await asyncio.wait_for(enough.wait(), _SECONDS)
        repeating.cancel()

    asyncio.run(scenario())
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["first", "second"]


def test_what_dies_in_the_background_is_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async def work() -> None:
            raise LookupError("nothing there")

        task = background.watch(asyncio.create_task(work(), name="the work of session-1"))
        await asyncio.wait({task})
        cancelled = background.watch(asyncio.create_task(asyncio.Event().wait(), name="the rest"))
        cancelled.cancel()
        await asyncio.wait({cancelled})

    asyncio.run(scenario())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "the work of session-1" in record.message
    assert "LookupError: nothing there" in caplog.text


@pytest.mark.parametrize("release_seconds", [0.0, 60.0])
def test_the_end_of_the_server_waits_for_sessions_that_are_ending(release_seconds: float) -> None:
    async def scenario() -> None:
        now = [0.0]
        fork_server = NoForkServer()
        sessions = sessions_of(fork_server, lambda: now[0], SessionRules(release_seconds=release_seconds))
        session = await sessions.create(IMAGE, {}, 10)
        upload = SlowUpload(session)
        now[0] = 10.0
        await asyncio.wait_for(sessions.release_expired(), _SECONDS)
        closing = asyncio.create_task(sessions.release_all())
        await asyncio.wait_for(upload.began.wait(), _SECONDS)
        assert not closing.done()
        upload.gate.set()
        await asyncio.wait_for(closing, _SECONDS)
        assert upload.done
        assert fork_server.ended == [session.session_id]

    asyncio.run(scenario())


def test_a_fork_server_that_talks_nonsense_counts_as_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs: list[socket.socket] = []

    class Process:
        def __init__(self, command: list[str], *, pass_fds: list[int], **_: Any) -> None:
            theirs.append(socket.socket(fileno=os.dup(pass_fds[0])))

        def wait(self, timeout: float) -> int:
            return 0

    monkeypatch.setattr("subprocess.Popen", Process)

    async def scenario() -> None:
        fork_server = ForkServerHandle("none", tmp_path, limits=Limits(), on_left=lambda *_: None)
        fork_server.attach()
        ending = asyncio.create_task(fork_server.end("session-1"))
        await asyncio.sleep(0)
        theirs[0].sendall(b"\xff" * 64)
        await asyncio.wait_for(ending, _SECONDS)
        assert not fork_server.alive
        fork_server.close()
        theirs[0].close()

    asyncio.run(scenario())
    assert "connection to the fork server" in caplog.text
    assert "Traceback" in caplog.text


def test_a_session_ends_also_where_who_released_it_is_gone() -> None:
    async def scenario() -> None:
        sessions = sessions_of(NoForkServer(), lambda: 0.0)
        session = await sessions.create(IMAGE, {}, 10)
        upload = SlowUpload(session)
        releasing = asyncio.create_task(sessions.release(session.session_id))
        await asyncio.wait_for(upload.began.wait(), _SECONDS)
        releasing.cancel()
        await asyncio.wait({releasing})
        upload.gate.set()
        await ended(session)
        assert upload.done

    asyncio.run(scenario())
