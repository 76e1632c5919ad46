"""The server's end of the fork server and of each sandbox, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_agb.local import background, boot, framing
from pytest_agb.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_agb.local.limits.rlimits import Limits
    from pytest_agb.removal import Left

#: Seconds that a sandbox may take to start or to end: far more than it ever should.
_START_SECONDS = 20.0
_END_SECONDS = 10.0
#: Seconds beyond a tool's own timeout after which the sandbox is taken for hung.
_MARGIN_SECONDS = 60.0


class SandboxError(RuntimeError):
    """The sandbox can't do it; the message is for the user."""


@dataclass(frozen=True)
class Answer:
    """What a tool said, and whether it did what it was asked to."""

    ok: bool
    text: str


class Sandbox:
    """One sandbox: a socket to its agent. Calls may overlap."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._listening: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._next_call = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = background.watch(asyncio.create_task(self._read(), name=f"connection to {name}"))
        self._lost = ""

    async def ready(self) -> None:
        """Wait until the agent answers.

        Raises:
            SandboxError: it never will.
        """
        await asyncio.wait_for(asyncio.shield(self._ready), _START_SECONDS)

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        timeout_seconds: float,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Answer:
        """Call a tool; ``timeout_seconds`` is the tool's own limit, which the agent sees to.

        With ``on_event`` code tells of its output while it runs, and its answer leaves it out.

        Raises:
            SandboxError: the sandbox is gone or hangs.
        """
        if self._lost:
            raise SandboxError(self._lost)
        self._next_call += 1
        number = self._next_call
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        if on_event is not None:
            self._listening[number] = on_event
            arguments = {**arguments, "stream": True}
        try:
            self._writer.write(framing.encode({"id": number, "tool": tool, "args": arguments}))
            return await asyncio.wait_for(future, timeout_seconds + _MARGIN_SECONDS)
        except TimeoutError:
            raise SandboxError(f"the sandbox did not answer {tool} in time") from None
        finally:
            self._waiting.pop(number, None)
            self._listening.pop(number, None)

    async def open_ports(self) -> socket.socket:
        """Return a channel on which the agent hands out connections to ports of the sandbox, see `ports`.

        Raises:
            SandboxError: the sandbox is gone.
        """
        ours, theirs = socket.socketpair()
        connection = self._writer.get_extra_info("socket")
        with theirs:
            # Past the writer, which knows no descriptors; so not in the middle of what it is sending.
            while self._writer.transport.get_write_buffer_size() and not self._lost:
                await asyncio.sleep(0.001)
            if self._lost:
                ours.close()
                raise SandboxError(self._lost)
            with socket.socket(fileno=os.dup(connection.fileno())) as itself:
                message = framing.encode({"id": 0, "tool": "open_ports", "args": {}})
                socket.send_fds(itself, [message], [theirs.fileno()])
        return ours

    async def _read(self) -> None:
        decoder = framing.Decoder()
        reason = "the sandbox ended unexpectedly"
        try:
            while data := await self._reader.read(1 << 18):
                for message in decoder.feed(data):
                    if "event" in message:
                        if on_event := self._listening.get(message["id"]):
                            on_event(message["event"])
                    elif "id" in message:
                        future = self._waiting.get(message["id"])
                        if future is not None and not future.done():
                            future.set_result(Answer(message["ok"], message["text"]))
                    elif message.get("ready") and not self._ready.done():
                        self._ready.set_result(None)
                    elif "failed" in message:
                        reason = f"the sandbox failed: {message['failed']}"
        except (OSError, framing.ProtocolError):
            pass
        finally:
            self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._lost = self._lost or reason
        error = SandboxError(self._lost)
        if not self._ready.done():
            self._ready.set_exception(error)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # nobody may be waiting any more: not worth a complaint

    def close(self, reason: str) -> None:
        """Hang up; calls under way fail with ``reason``."""
        self._fail(reason)
        self._task.cancel()
        self._writer.close()


class ForkServerHandle:
    """The fork server's process, and the socket to it. Made before the event loop runs."""

    def __init__(
        self,
        isolation: str,
        directory: Path,
        *,
        limits: Limits,
        network: str = "none",
        remove_directory: bool = False,
        on_left: Callable[[Path, Left], None],
    ) -> None:
        self._directory = directory
        self._on_left = on_left
        #: Whether the sandboxes' files are in directories of this machine.
        self._on_disk = isolation != "namespaces"
        # Where sandboxes mount their root. A new one: a server that was here before us may still be ending.
        root = None if self._on_disk else tempfile.mkdtemp(prefix="root-", dir=directory)
        self._socket, theirs = socket.socketpair()
        settings = json.dumps(
            {
                "isolation": isolation,
                "network": network == "host",
                "directory": str(directory),
                "root": root,
                "remove": remove_directory,
                "limits": asdict(limits),
            }
        )
        with theirs:
            self._process = subprocess.Popen(
                boot.command("launch.forkserver", "main", str(theirs.fileno()), settings, site=True),
                pass_fds=[theirs.fileno()], env=boot.environment(), cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        self._gone: dict[str, asyncio.Future[None]] = {}
        #: Whether sandboxes can still be made. The fork server takes all there are along when it dies.
        self.alive = True
        self._task: asyncio.Task[None] | None = None

    def attach(self) -> None:
        """Begin to listen, in the running event loop."""
        self._socket.setblocking(False)
        self._task = background.watch(asyncio.create_task(self._read(), name="connection to the fork server"))

    async def spawn(self, name: str) -> Sandbox:
        """Make a sandbox and wait until it answers.

        Raises:
            SandboxError: it can't be made; the message says which step failed.
        """
        ours, theirs = socket.socketpair()
        try:
            request = framing.encode({"op": "spawn", "session": name})
            try:
                socket.send_fds(self._socket, [request], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise SandboxError(
                    f"the fork server is gone ({error.strerror}); start the server anew"
                ) from error
            theirs.close()
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            sandbox = Sandbox(name, reader, writer)
            await sandbox.ready()
        except TimeoutError:
            sandbox.close("it did not start")
            await self.end(name)
            raise SandboxError(f"the sandbox did not start within {_START_SECONDS:.0f} s") from None
        except SandboxError:
            await self._remove(name)
            raise
        finally:
            theirs.close()
        return sandbox

    async def end(self, name: str) -> None:
        """Kill everything in a sandbox and wait until nothing of it is left."""
        future = self._gone.get(name)
        if future is None:
            future = self._gone[name] = asyncio.get_running_loop().create_future()
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(
                    self._socket, framing.encode({"op": "kill", "session": name})
                )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(future), _END_SECONDS)
        self._gone.pop(name, None)
        await self._remove(name)

    async def _remove(self, name: str) -> None:
        if self._on_disk:
            left = await asyncio.to_thread(remove_tree, self._directory / name)
            if left is not None:
                self._on_left(self._directory / name, left)

    async def _read(self) -> None:
        decoder = framing.Decoder()
        try:
            while data := await asyncio.get_running_loop().sock_recv(self._socket, 1 << 16):
                for message in decoder.feed(data):
                    future = self._gone.get(message.get("gone", ""))
                    if future is not None and not future.done():
                        future.set_result(None)
        except OSError:
            pass  # it is gone, as at the end of what it says
        finally:
            # Also where we can't follow it any more: without it the server has to end.
            self.alive = False
            for future in self._gone.values():
                if not future.done():
                    future.set_result(None)  # it took its sandboxes along

    def close(self) -> None:
        """Hang up, which ends every sandbox, and wait for the process."""
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.cancel()
        self._socket.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
