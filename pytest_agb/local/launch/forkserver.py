"""The fork server: a small process without threads that forks an agent for each session.

It is started fresh, not forked from the server, so nothing of the server (its key, its environment,
its descriptors) is in the memory of a sandbox. Messages from the server::

    {"op": "spawn", "session": id}    with one descriptor: the agent's end of a socket pair
    {"op": "kill", "session": id}

and to it, when nothing of a sandbox lives any more: ``{"gone": id}``. When the server's end closes, for
whatever reason, every sandbox is ended.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH118

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from pytest_agb.local import framing
from pytest_agb.local.agent import agent
from pytest_agb.local.launch.launcher import Launcher, failure
from pytest_agb.local.limits import cgroup, processes
from pytest_agb.local.limits.rlimits import Limits
from pytest_agb.removal import remove_tree

if TYPE_CHECKING:
    from pytest_agb.local.launch.launcher import Inside

#: Seconds that the agent of a sandbox without namespaces gets to end its processes before it is killed.
_FAREWELL_SECONDS = 2.0


def main(descriptor: str, settings: str) -> None:
    """Serve until the other end of socket ``descriptor`` is closed.

    ``settings`` is JSON: `ForkServer`'s keyword arguments.
    """
    # Modules of ours were found through the stand-in package; user code must not be.
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytest_agb"]:
        del sys.modules[name]
    gc.freeze()  # what exists now is never collected, so its pages stay shared with every sandbox
    ForkServer(socket.socket(fileno=int(descriptor)), **json.loads(settings)).run()


class ForkServer:
    """The sandboxes that live, by session; one loop over the server's socket and SIGCHLD."""

    def __init__(
        self,
        server: socket.socket,
        *,
        isolation: str,
        network: bool,
        directory: str,
        root: str | None,
        remove: bool,
        limits: dict[str, int],
    ) -> None:
        self._server = server
        self._server_pid = os.getppid()
        self._isolation = isolation
        self._directory = directory
        self._remove = remove
        self._agents: dict[int, str] = {}
        self._farewells: dict[int, float] = {}
        self._limits = Limits(**limits)
        self._cgroups = self._make_cgroups()
        self._launcher = Launcher(
            isolation, network=network, root=root, limits=self._limits, work=self._be_agent
        )
        self._wake_read, self._wake_write = os.pipe()

    def _make_cgroups(self) -> cgroup.Cgroups | None:
        """Make room for sandboxes where that was delegated. Elsewhere their agents watch what they use."""
        delegated = cgroup.delegated()
        if delegated is None:
            return None
        try:
            return cgroup.Cgroups(delegated, self._limits, files_in_memory=self._isolation == "namespaces")
        except OSError as error:
            print(f"pytest-agb: {delegated} is delegated and of no use: {error}", file=sys.stderr, flush=True)
            return None

    def _make_group(self, session: str) -> cgroup.Cgroup | None:
        try:
            return None if self._cgroups is None else self._cgroups.add(session)
        except OSError as error:
            print(f"pytest-agb: {session} has no cgroup: {error}", file=sys.stderr, flush=True)
            return None

    def run(self) -> None:
        """Work until the server is gone, then end every sandbox."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they are meant for the server, which tells us
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        decoder = framing.Decoder()
        descriptors: list[int] = []
        while True:
            ready, _, _ = select.select([self._server.fileno(), self._wake_read], [], [], self._patience())
            self._reap()
            if self._server.fileno() in ready:
                try:
                    data, received, _, _ = socket.recv_fds(self._server, 1 << 16, 64)
                except ConnectionError:
                    data, received = b"", []
                if not data:
                    break
                descriptors += received  # in the order of the messages they came with
                for message in decoder.feed(data):
                    if message["op"] == "spawn":
                        self._spawn(message["session"], socket.socket(fileno=descriptors.pop(0)))
                    else:
                        self._kill(message["session"])
        self._end_all()

    def _patience(self) -> float | None:
        """Kill agents whose time to say farewell is over; return the seconds until the next one's is."""
        now = time.monotonic()
        for pid, deadline in self._farewells.items():
            if deadline <= now:
                processes.kill_tree(pid)
        return max(0.05, min(self._farewells.values()) - now) if self._farewells else None

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 1 << 10):
                pass
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._farewells.pop(pid, None)
            session = self._agents.pop(pid, None)
            if session is not None:
                if self._isolation != "namespaces":
                    self._kill_strays()
                if self._cgroups is not None:
                    self._cgroups.remove(session)
                with contextlib.suppress(OSError):
                    self._server.sendall(framing.encode({"gone": session}))

    def _kill_strays(self) -> None:
        """Kill what a dead agent left behind: we have adopted it. A last look finds nothing."""
        while found := processes.strays(os.getpid(), set(self._agents)):
            processes.kill_all(found)

    def _kill(self, session: str) -> None:
        for pid, name in self._agents.items():
            if name == session:
                if self._isolation == "namespaces":
                    # Process 1 of its namespace: the kernel kills all others before it lets us reap it.
                    os.kill(pid, signal.SIGKILL)
                else:
                    if self._cgroups is not None:
                        self._cgroups.kill(session)  # all at once; what follows is for what is not in it
                    os.kill(pid, signal.SIGTERM)
                    os.kill(pid, signal.SIGCONT)  # whoever stopped it
                    self._farewells[pid] = time.monotonic() + _FAREWELL_SECONDS
                return
        self._server.sendall(framing.encode({"gone": session}))

    def _end_all(self) -> None:
        for session in list(self._agents.values()):
            with contextlib.suppress(OSError):
                self._kill(session)
        while self._agents:
            self._patience()
            self._reap()
            select.select([self._wake_read], [], [], 0.05)
        if self._cgroups is not None:
            self._cgroups.close()
        # The server can't if it was killed.
        if self._remove:
            left = remove_tree(self._directory)
            if left is not None and os.getppid() != self._server_pid:
                line = f"pytest-agb: {self._directory} could not be removed: {left}"
                print(line, file=sys.stderr, flush=True)

    # ------------------------------------------------------------------ new sandboxes

    def _spawn(self, session: str, connection: socket.socket) -> None:
        try:
            directory = os.path.join(self._directory, session)
            pid = self._launcher.start(connection, directory, self._make_group(session))
            self._agents[pid] = session
        except OSError as error:
            if self._cgroups is not None:
                self._cgroups.remove(session)
            with contextlib.suppress(OSError):
                connection.sendall(framing.encode(failure(error)))
        finally:
            connection.close()

    def _be_agent(self, inside: Inside) -> None:
        agent.run(
            inside.connection,
            inside.place,
            self._limits,
            alone=inside.alone,
            out_of_memory=inside.out_of_memory,
        )
