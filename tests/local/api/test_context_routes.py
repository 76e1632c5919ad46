"""A sync that takes long goes on while the client asks how it is going."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_agb.local.api import context_routes
from pytest_agb.local.api.context_routes import ContextControl
from pytest_agb.local.api.request import Call
from pytest_agb.local.api.signed_urls import SignedUrls
from pytest_agb.local.contexts.store import ContextStore
from pytest_agb.local.sessions.registry import Session, Sessions
from pytest_agb.local.sessions.rules import SessionRules
from pytest_agb.local.sessions.sandbox import Answer, ForkServerHandle, Sandbox


class SlowSandbox:
    """A sandbox whose agent answers when it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def call(self, tool: str, arguments: dict[str, Any], timeout_seconds: float) -> Answer:
        await self.gate.wait()
        return Answer(True, "[]")


def test_the_answer_comes_before_the_files_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_routes, "_ANSWER_SECONDS", 0.01)

    async def scenario() -> None:
        contexts = ContextStore(tmp_path)
        live = Sessions(cast(ForkServerHandle, None), SessionRules())
        control = ContextControl(contexts, live, SignedUrls(contexts))
        sandbox = SlowSandbox()
        session = Session("session-1", 1, "image", {}, 60, cast(Sandbox, sandbox), 0, 0)
        live._sessions[session.session_id] = session

        async def states() -> list[str]:
            reply = await control.info(Call({"sessionId": session.session_id}, {}, ""))
            (status,) = json.loads(reply.data["contextStatus"])
            return [task["status"] for task in json.loads(status["data"])]

        context_id = contexts.create("one").context_id
        await control.binder([{"contextId": context_id, "path": "/tmp/x"}])(session)
        assert await states() == ["InProgress"]
        assert session.busy == 1  # so it is not released for idleness
        sandbox.gate.set()
        # The session's end waits for what is under way.
        (end,) = session.before_end
        await end()
        assert session.busy == 0
        contexts.close()

    asyncio.run(scenario())
