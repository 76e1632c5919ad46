"""The WebSocket face: code whose output arrives while it runs, as the SDK's ``stream_beta`` expects it.

A session's description gives the address and the token. One connection carries any number of invocations::

    →  {"invocationId", "target", "data": {"method": "run_code", "mode": "stream",
                                           "params": {"code", "language", "timeoutS"}}}
    ←  {"invocationId", "source", "target", "data": {"phase": "event", "eventType": ...}}    any number
    ←  {..., "data": {"phase": "end", "status": ...}}                                or "error"; the last

The shapes are what agbcloud-sdk 0.12 parses (``agb/modules/ws``, ``Code._run_code_stream_ws``).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from pytest_agb.local import background
from pytest_agb.local.api import errors
from pytest_agb.local.api.request import BadRequestError, json_object
from pytest_agb.local.sessions.registry import SessionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.websockets import WebSocket

    from pytest_agb.local.sessions.registry import Session, Sessions

#: Bytes of a message: the SDK's WebSocket library hangs up on more than 1 MiB.
MAX_MESSAGE_BYTES = 1000 * 1000
#: Characters of a chunk of output and of an error's text. JSON may make 6 bytes of one.
_MAX_CHARACTERS = 100_000


async def serve(live: Sessions, websocket: WebSocket) -> None:
    """Serve one connection until the client leaves or the session ends."""
    given = websocket.headers.get("x-access-token", "").encode("utf-8", "replace")
    try:
        session = live.get(websocket.path_params["session_id"])
    except SessionNotFoundError:
        session = None
    if session is None or not hmac.compare_digest(given, session.token.reveal().encode()):
        await websocket.close()  # before it is accepted: HTTP 403
        return
    await websocket.accept()
    connection = _Connection(websocket, live, session)
    listening = asyncio.create_task(connection.listen())
    ending = asyncio.create_task(session.ended.wait())
    try:
        await asyncio.wait({listening, ending}, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            await connection.finish()
            with contextlib.suppress(RuntimeError):  # it left by itself
                await websocket.close(1001, "the session ended")
        else:
            listening.result()
    finally:
        listening.cancel()
        ending.cancel()
        connection.cancel()


class _Connection:
    """One client, and what it has under way."""

    def __init__(self, websocket: WebSocket, live: Sessions, session: Session) -> None:
        self._websocket = websocket
        self._live = live
        self._session = session
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    async def listen(self) -> None:
        """Start what the client asks for, until it leaves."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            invoking = self._invoke(message.get("text") or message.get("bytes") or "")
            task = asyncio.create_task(invoking, name=f"stream of {self._session.session_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            background.watch(task)

    async def finish(self) -> None:
        """Wait for what is under way; the session is over, so it fails soon."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def cancel(self) -> None:
        """Tell nobody any more."""
        for task in self._tasks:
            task.cancel()

    async def _invoke(self, text: str | bytes) -> None:
        invocation, target = "", ""
        try:
            message = json_object(text, "the message")
            invocation = str(message.get("invocationId") or message.get("requestId") or "")
            target = str(message.get("target") or "")
            if not invocation:
                raise BadRequestError("invocationId is missing")
            arguments = _arguments(json_object(message.get("data"), "data"))
            await self._run(invocation, target, arguments)
        except Exception as error:
            reply = errors.told(error)
            await self._send(invocation, target, _failure(reply.code, reply.message))
            if not isinstance(error, tuple(errors.REFUSALS)):
                raise

    async def _run(self, invocation: str, target: str, arguments: dict[str, Any]) -> None:
        # Bounded: a call's output and results are.
        events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        call = asyncio.create_task(
            self._live.call(self._session.session_id, "run_code", arguments, events.put_nowait)
        )
        call.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                for data in _event(event):
                    await self._send(invocation, target, data)
        finally:
            call.cancel()
        answer = await call
        if not answer.ok:  # a tool's error, told as the code's: so the SDK shows its words
            await self._send(invocation, target, _error_event("ToolError", answer.text))
            await self._send(invocation, target, _end({"executionError": answer.text}))
            return
        await self._send(invocation, target, _end(json.loads(answer.text)))

    async def _send(self, invocation: str, target: str, data: dict[str, Any]) -> None:
        message = {"invocationId": invocation, "source": target, "target": "SDK", "data": data}
        async with self._sending:
            with contextlib.suppress(RuntimeError, OSError):  # it left
                await self._websocket.send_text(json.dumps(message))


def _arguments(data: dict[str, Any]) -> dict[str, Any]:
    method, mode = data.get("method"), data.get("mode", "stream")
    if method != "run_code" or mode != "stream":
        raise BadRequestError(f"only run_code can be streamed, not {method!r:.50} in mode {mode!r:.50}")
    parameters = json_object(data.get("params"), "params")
    return {
        "code": parameters.get("code"),
        "language": parameters.get("language"),
        "timeout_s": parameters.get("timeoutS"),
    }


def _failure(code: str, message: str) -> dict[str, Any]:
    return {"phase": "error", "error": {"code": code, "message": message}}


def _error_event(code: str, message: str) -> dict[str, Any]:
    error = {"code": code, "message": message[:_MAX_CHARACTERS]}
    return {"phase": "event", "eventType": "error", "error": error}


def _event(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Turn an agent's event into the SDK's, of which each fits into a message."""
    if event["type"] == "result":
        result = {"mime": _fitting(event["mime"]), "isMainResult": event["main"]}
        yield {"phase": "event", "eventType": "result", "result": result}
    elif event["type"] == "error":
        yield _error_event(event["name"], event["value"])
    else:
        chunk: str = event["chunk"]
        for start in range(0, len(chunk), _MAX_CHARACTERS):
            yield {
                "phase": "event",
                "eventType": event["type"],
                "chunk": chunk[start : start + _MAX_CHARACTERS],
            }


def _fitting(mime: dict[str, Any]) -> dict[str, Any]:
    """Leave out the formats with which a result fits into no message, and say so in its text."""
    sizes = {name: len(json.dumps(data)) for name, data in mime.items()}
    room = MAX_MESSAGE_BYTES - 2000  # for what is around them
    if sum(sizes.values()) <= room:
        return mime
    text = mime.get("text/plain", "")
    fitting: dict[str, Any] = {"text/plain": text[:_MAX_CHARACTERS]}
    room -= len(json.dumps(fitting))
    left_out = [f"text/plain, {len(text)} characters"] if len(text) > _MAX_CHARACTERS else []
    for name in sorted(sizes.keys() - {"text/plain"}, key=sizes.__getitem__):
        if sizes[name] <= room:
            fitting[name] = mime[name]
            room -= sizes[name]
        else:
            left_out.append(f"{name}, {sizes[name]} bytes")
    fitting["text/plain"] += (
        f"\n[too much for a streamed result, run it without streaming to have: {'; '.join(left_out)}]"
    )
    return fitting


def _end(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer["executionError"]
    return {
        "phase": "end",
        "status": "failed" if error else "finished",
        "executionCount": answer.get("execution_count"),
        "executionTime": answer.get("execution_time", 0.0),
        "executionError": error[:_MAX_CHARACTERS],
    }
