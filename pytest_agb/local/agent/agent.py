"""The agent: one process per session, in which every call of the session ends up.

One loop, no threads (it forks): file calls are answered on the spot, shells and interpreters
run as processes of their own, so none waits behind another. In a sandbox with namespaces it is process 1
and reaps whatever is orphaned; without, it adopts what its processes leave behind and ends it.

Messages: ``{"id", "tool", "args"}`` in; ``{"ready": true}`` out first, then for each call any number of
``{"id", "event"}``, if it streams, and ``{"id", "ok", "text"}``.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from pytest_agb.local import framing
from pytest_agb.local.agent import file_tools, transfer
from pytest_agb.local.agent.changes import Changes
from pytest_agb.local.agent.code.runner import CodeRunner
from pytest_agb.local.agent.metrics import MetricsJob
from pytest_agb.local.agent.paths import FileToolError
from pytest_agb.local.agent.ports import Ports
from pytest_agb.local.agent.shell import ShellJob
from pytest_agb.local.limits import processes, usage
from pytest_agb.local.limits.watchdog import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.local.agent.paths import Place
    from pytest_agb.local.limits.cgroup import OutOfMemory
    from pytest_agb.local.limits.rlimits import Limits
    from pytest_agb.local.loop import Job


class Agent:
    """The loop, and what it looks after: a `loop.Loop`."""

    def __init__(
        self,
        connection: socket.socket,
        place: Place,
        limits: Limits,
        *,
        alone: bool,
        out_of_memory: OutOfMemory | None,
    ) -> None:
        self._place = place
        self._alone = alone
        self._out_of_memory = out_of_memory
        self._killed = (0.0, "")
        self._connection = connection
        self._decoder = framing.Decoder()
        self._descriptors: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._jobs: list[Job] = []
        self._ending = False
        self._tools = {**file_tools.TOOLS, **transfer.TOOLS, "get_file_change": Changes().report}
        self._runners: dict[str, CodeRunner] = {}
        if usage.has_children_files():
            watch = Watch(self, place.directory, limits)
            place.is_full = watch.is_full
            self._jobs.append(watch)
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> None:
        """Answer calls until the server's end closes or SIGTERM comes."""
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Not ignored, which every command would inherit, `trap` or not.
        signal.signal(signal.SIGINT, lambda *_: None)
        if os.getpid() != 1:
            # The fork server's word for the end. As process 1 we are simply killed, and deaf to those inside.
            signal.signal(signal.SIGTERM, self._on_terminate)
        self.watch(self._wake_read, self._on_wake)
        self.watch(self._connection.fileno(), self._on_request)
        self._send({"ready": True})
        while not self._ending:
            now = time.monotonic()
            due = [when for job in list(self._jobs) if (when := job.tick(now)) is not None]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            for key, _ in self._selector.select(timeout):
                if key.fd in self._selector.get_map():  # an earlier callback of this round may have closed it
                    key.data()

    # ------------------------------------------------------------------ for the jobs

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Have ``callback`` called whenever ``descriptor`` can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, callback)

    def watch_writable(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Have ``callback`` called whenever ``descriptor`` can be written to."""
        if descriptor not in self._selector.get_map():
            self._selector.register(descriptor, selectors.EVENT_WRITE, callback)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; not watched is fine."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def reply(self, call: int, ok: bool, text: str) -> None:
        """Answer a call."""
        self._send({"id": call, "ok": ok, "text": text})

    def event(self, call: int, event: dict[str, Any]) -> None:
        """Tell of something on the way to a call's answer."""
        self._send({"id": call, "event": event})

    def finished(self, job: Job) -> None:
        """Forget a job."""
        with contextlib.suppress(ValueError):
            self._jobs.remove(job)

    def starting(self) -> contextlib.AbstractContextManager[None]:
        """Whatever is started meanwhile goes before this process where memory is short."""
        return contextlib.nullcontext() if self._out_of_memory is None else self._out_of_memory.starting()

    def look_for_victims(self) -> None:
        """Where the kernel has killed a process for want of memory, kill the others too, as `watch` does."""
        if self._out_of_memory is not None and (reason := self._out_of_memory.reason()):
            self.kill_all(reason)

    def kill_all(self, reason: str) -> None:
        """Kill everything that runs here; what dies of it is told ``reason`` by `why_killed`."""
        self._killed = (time.monotonic(), reason)
        if self._alone:
            # All at once, however fast they multiply. Signals from here reach nobody else.
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            processes.kill_tree(os.getpid(), and_root=False)

    def why_killed(self, since: float, status: int) -> str:
        """Return why `kill_all` has ended what started at ``since`` and ended with ``status``, or ``""``."""
        if status == -signal.SIGKILL:
            self.look_for_victims()
        when, reason = self._killed
        return reason if status == -signal.SIGKILL and when >= since else ""

    # ------------------------------------------------------------------ events

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._connection.sendall(framing.encode(message))
        except OSError:
            self._ending = True

    def _on_terminate(self, *_: object) -> None:
        self.end()
        os._exit(0)

    def _on_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 1 << 10):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for job in list(self._jobs):
                if job.on_exit(pid, status):
                    break

    def _on_request(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, 1 << 18, 4)
            messages = list(self._decoder.feed(data))
        except (OSError, framing.ProtocolError):
            data = b""
        if not data:
            self._ending = True
            return
        self._descriptors += descriptors
        for message in messages:
            if message["tool"] == "open_ports":
                Ports(self, socket.socket(fileno=self._descriptors.pop(0)))
            else:
                self._dispatch(message["id"], message["tool"], message["args"])

    def _dispatch(self, call: int, tool: str, arguments: dict[str, Any]) -> None:
        try:
            if tool == "run_code":
                self._runner(arguments["language"]).submit(call, arguments)
            elif tool == "shell":
                self._jobs.append(ShellJob(self, self._place, call, arguments))
            elif tool == "get_metrics":
                self._jobs.append(MetricsJob(self, self._place, call))
            elif tool in self._tools:
                self.reply(call, True, self._tools[tool](self._place, arguments))
            else:
                self.reply(call, False, f"Tool [{tool}] is not found")
        except FileToolError as error:
            self.reply(call, False, str(error))
        except MemoryError:
            self.reply(call, False, f"{tool}: the sandbox's memory limit is reached")
        except Exception as error:  # a call must never cost the session
            self.reply(call, False, f"{tool}: {type(error).__name__}: {error}")

    def _runner(self, language: str) -> CodeRunner:
        runner = self._runners.get(language)
        if runner is None:
            runner = self._runners[language] = CodeRunner(self, self._place, language)
            self._jobs.append(runner)
        return runner

    def end(self) -> None:
        """End everything that runs here. With namespaces the kernel does that when we exit."""
        if os.getpid() != 1:
            self.kill_all("the session ended")


def run(
    connection: socket.socket,
    place: Place,
    limits: Limits,
    *,
    alone: bool,
    out_of_memory: OutOfMemory | None,
) -> None:
    """Be the agent, in a process that is in its sandbox already.

    ``alone`` says that signals reach only this process and those it starts. In a cgroup ``out_of_memory``
    knows what the kernel does there.
    """
    agent = Agent(connection, place, limits, alone=alone, out_of_memory=out_of_memory)
    try:
        agent.run()
    finally:
        agent.end()
