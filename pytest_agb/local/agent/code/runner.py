"""The agent's side of `run_code`: for each language a queue before one interpreter that keeps its state.

The interpreter is a child process. What code does to it (an endless loop, an exit, a crash) costs the
interpreter, never the session, and the answer says so::

    none ──first call──▶ starting ──ready──▶ idle ◀──end── running
      ▲                     │                  │              │ interrupted, then killed
      └─────────────────────┴───────exit───────┴──────────────┘
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_agb.local.agent import paths
from pytest_agb.local.agent.code import frames, languages
from pytest_agb.local.agent.output import Stream
from pytest_agb.local.limits import processes

if TYPE_CHECKING:
    from pytest_agb.local.loop import Loop

#: Seconds that code may take to stop when it is interrupted, before the interpreter is replaced.
_INTERRUPT_SECONDS = 2.0
#: Seconds that an interpreter may take to start: java needs 3 on a busy machine.
_START_SECONDS = 60.0
#: Bytes of all results of one call that its answer holds.
_MAX_RESULT_BYTES = 32 * 1024 * 1024
_LOST = "a new interpreter answers the next call, variables are lost"


@dataclass
class _Call:
    """One piece of code, and what came of it so far."""

    number: int
    code: str
    timeout_s: float
    stream: bool
    results: list[dict[str, Any]] = field(default_factory=list)
    bundle: dict[str, bytes] = field(default_factory=dict)
    result_bytes: int = 0
    #: ``error-name``, ``error-value`` and ``error`` of `frames`.
    error: dict[str, str] = field(default_factory=dict)
    #: What is to be said at the end of stderr.
    note: str = ""

    def fail(self, name: str, value: str, more: str = "") -> None:
        """Note an error of ours; ``more`` is what the code itself says of it."""
        text = f"{name}: {value}\n{more}".rstrip()
        self.error = {"error-name": name, "error-value": value, "error": text}


class CodeRunner:
    """Runs one piece of code after the other, in one language."""

    def __init__(self, loop: Loop, place: paths.Place, language: str) -> None:
        self._loop = loop
        self._place = place
        self._language = language
        self._queue: deque[_Call] = deque()
        self._call: _Call | None = None
        self._started = self._deadline = 0.0
        self._running = self._interrupted = self._killed = False
        self._pid: int | None = None
        self._ready = False
        self._requests = self._replies = -1
        self._unsent = bytearray()
        self._decoder = frames.Decoder()
        self._streams: tuple[Stream, ...] = ()  # stdout and stderr of an interpreter
        self._count = 0
        self._lost = ""  # why the variables of the call to come are

    def submit(self, call: int, arguments: dict[str, Any]) -> None:
        """Run code when that before it is done; its time starts when it does."""
        self._queue.append(
            _Call(call, arguments["code"], arguments["timeout_s"], bool(arguments.get("stream")))
        )
        if self._call is None:
            self._next()

    def _next(self) -> None:
        while self._call is None and self._queue:
            self._call = self._queue.popleft()
            self._running = self._interrupted = self._killed = False
            if self._pid is not None:
                self._begin()
                return
            try:
                self._start()
            except (languages.LanguageMissingError, OSError) as error:
                call, self._call = self._call, None
                self._loop.reply(call.number, False, f"run_code: {self._language} {error}")

    # ------------------------------------------------------------------ the interpreter's life

    def _start(self) -> None:
        streams = (Stream(), Stream())
        requests_read, self._requests = os.pipe()
        self._replies, replies_write = os.pipe()
        try:
            pipes = languages.Pipes(requests_read, replies_write, streams[0].writer, streams[1].writer)
            with self._loop.starting():
                self._pid = languages.start(self._language, pipes)
        except BaseException:
            for descriptor in (self._requests, self._replies):
                os.close(descriptor)
            for stream in streams:
                stream.close()
            raise
        finally:
            os.close(requests_read)
            os.close(replies_write)
        self._streams = streams
        self._ready, self._decoder, self._unsent = False, frames.Decoder(), bytearray()
        self._deadline = time.monotonic() + _START_SECONDS
        for stream in streams:
            stream.close_writer()
            stream.start()  # what an interpreter says before it dies is what a user must see
            self._loop.watch(stream.descriptor, lambda stream=stream: self._on_output(stream))  # type: ignore[misc]
        for descriptor in (self._requests, self._replies):
            os.set_blocking(descriptor, False)
        self._loop.watch(self._replies, self._on_replies)

    def _begin(self) -> None:
        assert self._call is not None
        if self._lost:
            self._call.note = f"[variables are lost, the interpreter was killed: {self._lost}]\n"
            self._lost = ""
        for stream in self._streams:
            stream.read_available(1 << 24)  # what a background process wrote since belongs to no call
            stream.start()
        self._count += 1
        self._running = True
        self._started = time.monotonic()
        self._deadline = self._started + self._call.timeout_s
        for name, text in (
            ("count", str(self._count)),
            ("timeout", str(round(self._call.timeout_s * 1000))),
            ("code", self._call.code),
        ):
            self._unsent += frames.encode(name, text)
        self._send()

    def _send(self) -> None:
        """Write what the pipe takes, and the rest when it takes more: an interpreter may be slow to read."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._requests, self._unsent)]
        except BlockingIOError:
            self._loop.watch_writable(self._requests, self._send)
        except BrokenPipeError:
            self._unsent.clear()  # it died: on_exit answers
        if not self._unsent:
            self._loop.unwatch(self._requests)

    def _on_output(self, stream: Stream) -> None:
        stream.read_available()
        self._stream_out()
        if stream.ended:
            self._loop.unwatch(stream.descriptor)
            stream.close()

    def _stream_out(self) -> None:
        """Pass on what was printed so far, where the caller wants it at once."""
        if self._call is None or not self._call.stream or not self._running:
            return
        for name, stream in zip(("stdout", "stderr"), self._streams, strict=True):
            if chunk := stream.take_chunk():
                self._loop.event(self._call.number, {"type": name, "chunk": chunk})

    def _on_replies(self) -> None:
        try:
            data = os.read(self._replies, 1 << 18)
            received = list(self._decoder.feed(data))
        except BlockingIOError:
            return
        except (OSError, frames.FrameError):
            data = b""
        if not data:
            # The process may live on: without its voice it is of no use.
            self._loop.unwatch(self._replies)
            if self._pid is not None:
                with contextlib.suppress(OSError):
                    os.kill(self._pid, signal.SIGKILL)
            return
        for name, body in received:
            self._on_frame(name, body)

    def _on_frame(self, name: str, body: bytes) -> None:
        if name == "ready":
            self._ready = True
            if self._call is not None:
                self._begin()
        elif self._call is None or not self._running:
            return  # of code that has been answered for
        elif name in ("display", "main"):
            self._on_result(name == "main")
        elif name == "end":
            self._answer()
        elif name.startswith("error"):
            self._call.error[name] = body.decode("utf-8", "replace")
        else:
            self._call.bundle[name] = body

    def _on_result(self, main: bool) -> None:
        call = self._call
        assert call is not None
        formats, call.bundle = call.bundle, {}
        call.result_bytes += sum(map(len, formats.values()))
        if call.result_bytes > _MAX_RESULT_BYTES:
            truncated = f"[results truncated: more than {_MAX_RESULT_BYTES} bytes in one call]\n"
            if truncated not in call.note:
                call.note += truncated
            return
        bundle = {name: _from_bytes(name, body) for name, body in formats.items()}
        if not call.stream:
            call.results.append({**bundle, "isMainResult": True} if main else bundle)
            return
        for stream in self._streams:
            stream.read_available(1 << 26)  # what was printed before comes before
        self._stream_out()
        self._loop.event(call.number, {"type": "result", "mime": bundle, "main": main})

    # ------------------------------------------------------------------ answers

    def _answer(self) -> None:
        call, self._call = self._call, None
        assert call is not None
        for stream in self._streams:
            stream.read_available(1 << 26)  # all of it was written before the end was sent
        stdout, stderr = (stream.take() for stream in self._streams)
        stderr += call.note
        if self._interrupted and call.error and not self._killed:
            took = f"the code ran longer than {call.timeout_s:g} s and was interrupted; variables are kept"
            call.fail("TimeoutError", took, call.error.get("error", ""))
        error = call.error.get("error", "")
        if reasons := paths.explain_denials(self._place, error):
            error = f"{error}\n{reasons}"
        if call.stream:
            self._stream_end(call, stdout, stderr)
            stdout = stderr = ""
        answer = {
            "result": [json.dumps(result) for result in call.results],
            "stdout": [stdout] if stdout else [],
            "stderr": [stderr] if stderr else [],
            "execution_count": self._count,
            "execution_time": round(time.monotonic() - self._started, 6),
            "executionError": error,
        }
        self._loop.reply(call.number, True, json.dumps(answer))
        self._next()

    def _stream_end(self, call: _Call, stdout: str, stderr: str) -> None:
        for name, text in (("stdout", stdout), ("stderr", stderr)):
            if text:
                self._loop.event(call.number, {"type": name, "chunk": text})
        if call.error:
            name, value = call.error.get("error-name", ""), call.error.get("error-value", "")
            self._loop.event(call.number, {"type": "error", "name": name, "value": value})

    def on_exit(self, pid: int, status: int) -> bool:
        """See `loop.Job`."""
        if pid != self._pid:
            return False
        self._pid = None
        code = os.waitstatus_to_exitcode(status)
        call, descriptors, streams = self._call, (self._requests, self._replies), self._streams
        for descriptor in descriptors:
            self._loop.unwatch(descriptor)
        if call is None:
            self._lost = self._loop.why_killed(self._started, code)
        else:
            self._on_replies()  # an answer sent just before the end still counts
        if call is not None and self._call is call:
            if self._running:
                self._bury(call, code)
                self._answer()
            else:
                self._failed_to_start(code)
        for descriptor in descriptors:
            os.close(descriptor)
        for stream in streams:
            # Background processes of the code may still write; the old pipes are read until they end.
            stream.read_available()
            if stream.ended:
                self._loop.unwatch(stream.descriptor)
                stream.close()
        return True

    def _failed_to_start(self, code: int) -> None:
        call, self._call = self._call, None
        assert call is not None
        for stream in self._streams:
            stream.read_available()
        said = "".join(stream.take() for stream in self._streams).strip()[-2000:]
        took = f"within {_START_SECONDS:g} s" if self._killed else f"(exit status {code})"
        self._loop.reply(
            call.number, False, f"run_code: the {self._language} interpreter did not start {took}: {said}"
        )
        self._next()

    def _bury(self, call: _Call, code: int) -> None:
        """Say why the interpreter is gone."""
        if self._interrupted:
            self._killed = True
            call.fail(
                "TimeoutError",
                f"the code ran longer than {call.timeout_s:g} s and did not stop when interrupted; "
                f"the interpreter was replaced, variables are lost",
            )
        elif reason := self._loop.why_killed(self._started, code):
            call.fail("InterpreterDied", f"the session's processes were killed: {reason}; {_LOST}")
        elif code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            call.fail("InterpreterDied", f"the interpreter was killed by {name}; {_LOST}")
        elif code:
            call.fail(
                "InterpreterDied",
                f"the interpreter exited with status {code} while running the code; {_LOST}",
            )
        else:
            call.note += f"[the code ended its interpreter; {_LOST}]\n"

    def tick(self, now: float) -> float | None:
        """See `loop.Job`."""
        if self._call is None or self._pid is None:
            return None
        if now < self._deadline:
            return self._deadline
        if self._running and not self._interrupted:
            self._interrupted = True
            self._deadline = now + _INTERRUPT_SECONDS
            # The group, as a terminal's Ctrl-C does: what the code waits for must stop too.
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGINT)
        elif not self._killed:
            self._killed = True
            self._deadline = now + 60.0
            processes.kill_tree(self._pid)
        return self._deadline


def _from_bytes(mime: str, body: bytes) -> Any:
    """Turn a format into what JSON can hold."""
    if mime.startswith("image/") and not mime.startswith("image/svg"):
        return base64.b64encode(body).decode()
    text = body.decode("utf-8", "replace")
    if mime.endswith("json"):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text
