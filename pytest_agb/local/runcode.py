"""The agent's side of `run_code`: a queue before one Python interpreter that keeps its state.

The interpreter is a child process. What its code does to it (an endless loop, ``os._exit``, a crash) costs
the interpreter, never the session, and the answer says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from . import interpreter, processes, wire
from .output import Stream

if TYPE_CHECKING:
    from .agent import Agent

#: Seconds that code may take to stop when it is interrupted, before the interpreter is replaced.
_INTERRUPT_SECONDS = 1.0


class PythonRunner:
    """Runs one piece of code after the other."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._queue: deque[tuple[int, str, float]] = deque()
        self._call: int | None = None
        self._timeout_s = 0.0
        self._started = self._deadline = 0.0
        self._interrupted = self._killed = False
        self._pid: int | None = None
        self._connection: socket.socket | None = None
        self._decoder = wire.Decoder()
        self._streams: tuple[Stream, Stream] | None = None
        self._count = 0

    def submit(self, call: int, code: str, timeout_s: float) -> None:
        """Run ``code`` when those before it are done; its time starts when it does."""
        self._queue.append((call, code, timeout_s))
        if self._call is None:
            self._next()

    def _next(self) -> None:
        if not self._queue:
            return
        self._call, code, self._timeout_s = self._queue.popleft()
        if self._pid is None:
            self._start()
        assert self._connection is not None
        assert self._streams is not None
        for stream in self._streams:
            stream.read_available(1 << 24)  # what a background process wrote since belongs to no call
            stream.start()
        self._count += 1
        self._interrupted = self._killed = False
        self._started = time.monotonic()
        self._deadline = self._started + self._timeout_s
        with contextlib.suppress(OSError):  # it died a moment ago: on_exit answers
            self._connection.sendall(wire.encode({"code": code, "count": self._count}))

    def _start(self) -> None:
        self._streams = (Stream(), Stream())
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            interpreter.main(theirs, self._streams[0].writer, self._streams[1].writer)
        theirs.close()
        self._pid, self._connection, self._decoder = pid, ours, wire.Decoder()
        for stream in self._streams:
            stream.close_writer()
            self._agent.watch(stream.descriptor, lambda stream=stream: self._on_output(stream))  # type: ignore[misc]
        self._agent.watch(ours.fileno(), self._on_message)

    def _on_output(self, stream: Stream) -> None:
        stream.read_available()
        if stream.ended:
            self._agent.unwatch(stream.descriptor)
            stream.close()

    def _on_message(self) -> None:
        assert self._connection is not None
        messages: list[dict[str, Any]] | None
        try:
            messages = wire.receive(self._connection, self._decoder)
        except (OSError, wire.ProtocolError):
            messages = None
        if messages is None:
            # The socket is closed but the process may live on: without the socket it is of no use.
            self._agent.unwatch(self._connection.fileno())
            if self._pid is not None:
                with contextlib.suppress(OSError):
                    os.kill(self._pid, signal.SIGKILL)
            return
        for message in messages:
            if self._call is not None and message.get("count") == self._count:
                self._answer(message["results"], message["error"])

    def _answer(self, results: list[dict[str, Any]], error: str) -> None:
        assert self._streams is not None
        call, self._call = self._call, None
        assert call is not None
        for stream in self._streams:
            stream.read_available(1 << 26)  # all of it was written before the message was sent
        stdout, stderr = (stream.take() for stream in self._streams)
        if self._interrupted and error and not self._killed:
            error = (
                f"TimeoutError: the code ran longer than {self._timeout_s:g} s and was interrupted; "
                f"variables are kept\n{error}"
            )
        answer = {
            "result": [json.dumps(result) for result in results],
            "stdout": [stdout] if stdout else [],
            "stderr": [stderr] if stderr else [],
            "execution_count": self._count,
            "execution_time": round(time.monotonic() - self._started, 6),
            "executionError": error,
        }
        self._agent.reply(call, True, json.dumps(answer))
        self._next()

    def on_exit(self, pid: int, status: int) -> bool:
        """See `agent.Job`."""
        if pid != self._pid:
            return False
        self._pid = None
        assert self._connection is not None
        assert self._streams is not None
        if self._call is not None:
            self._on_message()  # an answer sent just before the end still counts
        connection, streams = self._connection, self._streams
        self._agent.unwatch(connection.fileno())
        connection.close()
        if self._pid is None and self._call is not None:
            self._answer([], self._obituary(os.waitstatus_to_exitcode(status)))
        for stream in streams:
            # Background processes of the code may still write; the old pipes are read until they end.
            stream.read_available()
            if stream.ended:
                self._agent.unwatch(stream.descriptor)
                stream.close()
        return True

    def _obituary(self, code: int) -> str:
        lost = "a new interpreter answers the next call, variables are lost"
        if self._killed:
            return (
                f"TimeoutError: the code ran longer than {self._timeout_s:g} s and did not stop when "
                f"interrupted; the interpreter was replaced, variables are lost"
            )
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            return f"InterpreterDied: the interpreter was killed by {name}; {lost}"
        return f"InterpreterDied: the interpreter exited with status {code} while running the code; {lost}"

    def tick(self, now: float) -> float | None:
        """See `agent.Job`."""
        if self._call is None or self._pid is None:
            return None
        if now < self._deadline:
            return self._deadline
        if not self._interrupted:
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
