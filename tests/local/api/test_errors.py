"""What goes wrong in the server itself is told to who waits for it, and logged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from pytest_agb.local.api import app, errors
from pytest_agb.local.api.websocket import _Connection
from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError
from pytest_agb.local.contexts.policy import SyncPolicy
from pytest_agb.local.contexts.store import ContextStore
from pytest_agb.local.contexts.sync import DOWNLOAD, Binding, SessionContexts
from pytest_agb.secret import Secret


class Broken:
    """Can't be asked anything."""

    session_id = "session-1"

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


@pytest.fixture
def contexts(tmp_path: Path) -> Any:
    store = ContextStore(tmp_path)
    yield store
    store.close()


def test_a_handler_that_dies_is_told_and_not_hidden(contexts: ContextStore) -> None:
    served = app.make(Broken(), contexts, Secret("key"))  # type: ignore[arg-type]

    async def answer(*, raising: bool) -> httpx.Response:
        transport = httpx.ASGITransport(served, raise_app_exceptions=raising)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            headers = {"authorization": "Bearer key"}
            return await client.post("/mcp/getSession", json={"sessionId": "x"}, headers=headers)

    response = asyncio.run(answer(raising=False))
    assert response.status_code == 500
    assert response.json()["code"] == "InternalError"
    assert "ZeroDivisionError" in response.json()["message"]
    # uvicorn hangs up after it: nobody is to send another request by the same connection.
    assert response.headers["connection"] == "close"
    with pytest.raises(ZeroDivisionError):  # which uvicorn logs
        asyncio.run(answer(raising=True))


def test_every_refusal_is_told_by_a_code_of_its_own_or_of_its_kind() -> None:
    class NarrowerError(ContextFileNotFoundError):
        pass

    assert errors.told(NarrowerError("x")).code == "InvalidContextFile.NotFound"
    assert errors.told(ContextFileError("x")).code == "InvalidContextFile"
    assert all(400 <= status < 600 for status, _ in errors.REFUSALS.values())


def test_a_stream_that_dies_says_so_to_its_client(caplog: pytest.LogCaptureFixture) -> None:
    class Client:
        def __init__(self) -> None:
            run = {"method": "run_code", "mode": "stream", "params": {"code": "1", "language": "python"}}
            text = json.dumps({"invocationId": "i", "data": run})
            self.messages = [{"type": "websocket.receive", "text": text}]
            self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def receive(self) -> dict[str, Any]:
            return self.messages.pop() if self.messages else {"type": "websocket.disconnect"}

        async def send_text(self, text: str) -> None:
            self.told.put_nowait(json.loads(text))

    async def scenario() -> dict[str, Any]:
        client = Client()
        await _Connection(client, Broken(), Broken()).listen()  # type: ignore[arg-type]
        return await asyncio.wait_for(client.told.get(), 10)

    told = asyncio.run(scenario())
    assert (told["invocationId"], told["data"]["phase"]) == ("i", "error")
    assert told["data"]["error"]["code"] == "InternalError"
    assert "ZeroDivisionError" in caplog.text


def test_files_that_break_off_are_not_in_progress_for_ever(contexts: ContextStore) -> None:
    context_id = contexts.create("one").context_id
    bound = SessionContexts(Broken(), contexts)  # type: ignore[arg-type]
    bound.bind(Binding(context_id, "/tmp/x", SyncPolicy()))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(bound.sync(DOWNLOAD, context_id, "/tmp/x"))
    (task,) = bound.tasks("", "", "")
    assert (task["status"], task["errorMessage"]) == ("Failed", "broken off: ZeroDivisionError")
