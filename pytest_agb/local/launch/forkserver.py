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
from typing import NoReturn

from pytest_agb.local import framing, syscalls
from pytest_agb.local.agent import agent
from pytest_agb.local.isolation import host, landlock, namespaces
from pytest_agb.local.limits import cgroup, processes, usage
from pytest_agb.local.limits.rlimits import Limits, count_against, set_limits
from pytest_agb.removal import remove_tree

#: Seconds that the agent of a sandbox without namespaces gets to end its processes before it is killed.
_FAREWELL_SECONDS = 2.0
#: Seconds that a new process may take to leave the host's namespaces.
_UNSHARE_SECONDS = 10.0


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
        self._network = network
        self._directory = directory
        self._root = root
        self._remove = remove
        self._agents: dict[int, str] = {}
        self._farewells: dict[int, float] = {}
        self._limits = Limits(**limits)
        self._cgroups = self._make_cgroups()
        self._shown = host.python_prefixes() + (host.resolver_file() if network else [])
        self._readable = landlock.readable(self._shown) if isolation == "landlock" else []
        self._uid, self._gid = os.getuid(), os.getgid()
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
        if sys.platform.startswith("linux"):
            syscalls.adopt_orphans()
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
            group = self._make_group(session)
            if self._isolation == "namespaces":
                pid = self._spawn_in_namespaces(connection, group)
            else:
                pid = os.fork()
                if pid == 0:
                    path = os.path.join(self._directory, session)
                    self._become_agent(connection, path, self._enter_group(group))
            self._agents[pid] = session
        except OSError as error:
            if self._cgroups is not None:
                self._cgroups.remove(session)
            step = f"{error.step}: " if isinstance(error, syscalls.StepError) else ""
            with contextlib.suppress(OSError):
                connection.sendall(framing.encode({"failed": f"{step}{error.strerror or error}"}))
        finally:
            connection.close()

    def _spawn_in_namespaces(self, connection: socket.socket, group: cgroup.Cgroup | None) -> int:
        """Fork a launcher that enters the namespaces and forks the agent; return the agent's pid.

        The launcher leaves at once, and its child becomes ours. Only then may the agent ask to die with
        its parent: the launcher's end is an end of a parent, too.
        """
        report_read, report_write = os.pipe()
        mapped_read, mapped_write = os.pipe()
        launcher = os.fork()
        if launcher == 0:
            os.close(report_read)
            os.close(mapped_write)
            self._launch(connection, report_write, mapped_read, group)
        os.close(report_write)
        os.close(mapped_read)
        try:
            self._expect(report_read, "unshare")
            namespaces.write_id_maps(launcher, self._uid, self._gid)
            os.write(mapped_write, b"m")
            pid = int(self._expect(report_read, "set-up"))
            os.waitpid(launcher, 0)
            os.write(mapped_write, b"o")  # an orphan now, and adopted by us
            return pid
        except OSError:
            with contextlib.suppress(OSError):
                os.kill(launcher, signal.SIGKILL)
            raise
        finally:
            os.close(report_read)
            os.close(mapped_write)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(launcher, 0)

    @staticmethod
    def _expect(report: int, step: str) -> str:
        """Read the launcher's next report: a line that starts with ``ok``, or an error number and a step."""
        if not select.select([report], [], [], _UNSHARE_SECONDS)[0]:
            raise syscalls.StepError(f"{step} took too long", 110)
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(report, 1)
            if not piece:
                raise syscalls.StepError(f"{step}: the process died", 10)
            line += piece
        word, _, rest = line.decode().strip().partition(" ")
        if word != "ok":
            raise syscalls.StepError(rest, int(word))
        return rest

    def _launch(
        self, connection: socket.socket, report: int, mapped: int, group: cgroup.Cgroup | None
    ) -> NoReturn:
        try:
            out_of_memory = self._enter_group(group)
            namespaces.unshare(network=self._network)
            os.write(report, b"ok\n")
            if not os.read(mapped, 1):
                os._exit(1)
            assert self._root is not None
            namespaces.build_root(self._root, self._shown, self._limits)
            if not self._network:
                namespaces.loopback_up()
            socket.sethostname("agb-local")
            agent_pid = os.fork()
            if agent_pid == 0:
                os.close(report)
                if not os.read(mapped, 1):
                    os._exit(1)
                self._enter(connection, self._root, out_of_memory)
            os.write(report, f"ok {agent_pid}\n".encode())
            os._exit(0)
        except OSError as error:
            step = error.step if isinstance(error, syscalls.StepError) else (error.filename or "set-up")
            with contextlib.suppress(OSError):
                os.write(report, f"{error.errno or 0} {step}\n".encode())
        os._exit(1)

    def _enter(
        self, connection: socket.socket, root: str, out_of_memory: cgroup.OutOfMemory | None
    ) -> NoReturn:
        try:
            namespaces.enter_root(root)
            namespaces.drop_privileges()
            syscalls.die_with_parent()
        except OSError as error:
            step = error.step if isinstance(error, syscalls.StepError) else "enter"
            with contextlib.suppress(OSError):
                connection.sendall(framing.encode({"failed": f"{step}: {error.strerror}"}))
            os._exit(1)
        self._become_agent(connection, None, out_of_memory)

    @staticmethod
    def _enter_group(group: cgroup.Cgroup | None) -> cgroup.OutOfMemory | None:
        """Enter the session's cgroup, if there is one. Without, the agent sees to the limits."""
        try:
            return None if group is None else group.enter()
        except OSError as error:
            print(f"pytest-agb: a cgroup can't be entered: {error}", file=sys.stderr, flush=True)
            return None

    def _become_agent(
        self,
        connection: socket.socket,
        directory: str | None,
        out_of_memory: cgroup.OutOfMemory | None,
    ) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            keep = os.dup(connection.fileno())
            spare = out_of_memory.duplicate() if out_of_memory is not None else None
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            os.dup2(keep, 3, inheritable=False)
            if spare is not None:
                os.dup2(spare.descriptor, 4, inheritable=False)
                spare.descriptor = 4
            os.closerange(4 if spare is None else 5, 1 << 16)
            connection.detach()
            if spare is not None:
                spare.become_agent()  # Landlock would not let it
            set_limits(self._limits, own_user_namespace=directory is None)
            alone = directory is None
            if directory is not None and self._isolation == "landlock":
                alone = landlock.confine(directory, self._readable, network=self._network)
                others = usage.tasks_of(self._uid) if os.getuid() == self._uid else 0
                count_against(self._limits, others)
            server = socket.socket(fileno=3)
            agent.run(
                server,
                directory,
                self._limits,
                readable=self._readable,
                alone=alone,
                out_of_memory=spare,
            )
            status = 0
        except BaseException as error:  # nothing must ever return into the fork server's loop
            with contextlib.suppress(Exception):
                os.write(3, framing.encode({"failed": f"{type(error).__name__}: {error}"}))
        finally:
            os._exit(status)
