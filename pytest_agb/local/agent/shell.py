"""One shell call: a new ``bash -c``, watched by the agent's loop.

The call returns when the shell itself has ended, not when its output has: a daemon started in the
background keeps the pipe open and lives on. What it writes later is read and dropped, so it never blocks.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH110, PTH112

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from typing import TYPE_CHECKING, Any

from pytest_agb.local.agent import paths
from pytest_agb.local.agent.output import Stream
from pytest_agb.local.limits import processes

if TYPE_CHECKING:
    from pytest_agb.local.loop import Loop

#: Seconds that output may still come after the shell ended: `command > >(tee file)` writes a little late.
_DRAIN_SECONDS = 0.05
#: The exit status of a command that ran out of time, as timeout(1) has it.
_TIMED_OUT = 124

_SHELL = next(
    (path for path in ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash") if os.path.exists(path)),
    "/bin/sh",
)


class ShellJob:
    """Runs one command and answers one call."""

    def __init__(self, loop: Loop, place: paths.Place, call: int, arguments: dict[str, Any]) -> None:
        self._loop = loop
        self._place = place
        self._call = call
        self._timeout_ms: int = arguments["timeout_ms"]
        self._streams = (Stream(), Stream())
        self._exit_status: int | None = None
        self._started = self._deadline = 0.0
        self._drain_until = 0.0
        self._answered = False
        self._timed_out = False
        directory = place.resolve(arguments.get("cwd") or place.home)
        try:
            with loop.starting(), processes.marking(call) as self._mark:
                self._process = subprocess.Popen(
                    [_SHELL, "-c", arguments["command"]],
                    cwd=directory, env={**os.environ, "PWD": directory, **arguments.get("envs", {})},
                    stdin=subprocess.DEVNULL, stdout=self._streams[0].writer, stderr=self._streams[1].writer,
                    start_new_session=True,
                )  # fmt: skip
        except (OSError, ValueError) as error:
            for stream in self._streams:
                stream.close()
            what = f"cwd not found: {arguments.get('cwd')}" if not os.path.isdir(directory) else str(error)
            loop.reply(call, False, f"shell: {what}")
            loop.finished(self)
            self._answered = True
            self._process = None  # type: ignore[assignment]
            return
        self._started = time.monotonic()
        self._deadline = self._started + self._timeout_ms / 1000
        for stream in self._streams:
            stream.close_writer()
            loop.watch(stream.descriptor, lambda stream=stream: self._on_output(stream))  # type: ignore[misc]

    def _on_output(self, stream: Stream) -> None:
        stream.read_available()
        if stream.ended:
            self._loop.unwatch(stream.descriptor)
            stream.close()
            if self._answered and all(stream.ended for stream in self._streams):
                self._loop.finished(self)

    def on_exit(self, pid: int, status: int) -> bool:
        """See `loop.Job`."""
        if self._process is None or pid != self._process.pid or self._exit_status is not None:
            return False
        self._exit_status = os.waitstatus_to_exitcode(status)
        self._process.returncode = self._exit_status  # reaped by the agent: Popen must not wait for it
        self._drain_until = time.monotonic() + _DRAIN_SECONDS
        for stream in self._streams:
            if not stream.ended:
                self._on_output(stream)
        return True

    def tick(self, now: float) -> float | None:
        """See `loop.Job`."""
        if self._process is None:
            self._loop.finished(self)
            return None
        if self._answered:
            return None
        if self._exit_status is None:
            if now < self._deadline:
                return self._deadline
            if not self._timed_out:
                self._timed_out = True
                processes.kill_tree(self._process.pid, mark=self._mark)
            return now + 1.0
        if all(stream.ended for stream in self._streams) or now >= self._drain_until:
            self._answer()
            return None
        return self._drain_until

    def _answer(self) -> None:
        self._answered = True
        assert self._exit_status is not None
        stdout, stderr = (stream.take() for stream in self._streams)
        code = self._exit_status if self._exit_status >= 0 else 128 - self._exit_status
        if self._timed_out:
            code = _TIMED_OUT
            separator = "" if not stderr or stderr.endswith("\n") else "\n"
            stderr += (
                f"{separator}command timed out after {self._timeout_ms} ms and was killed, "
                f"with everything it had started; give it a longer timeout_ms\n"
            )
        stderr += paths.explain_denials(self._place, stderr)
        if reason := self._loop.why_killed(self._started, self._exit_status):
            stderr += f"pytest-agb: the session's processes were killed: {reason}\n"
        answer: dict[str, Any] = {"stdout": stdout, "stderr": stderr, "exit_code": code}
        if code != 0:
            answer["traceId"] = secrets.token_hex(16)
        self._loop.reply(self._call, not self._timed_out, json.dumps(answer))
        if all(stream.ended for stream in self._streams):
            self._loop.finished(self)
