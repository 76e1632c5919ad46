"""The files of a sandbox, as the server reads and writes them: in pieces, never a whole file in memory."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pytest_agb.local.sessions.sandbox import Sandbox

#: Bytes of one piece.
PIECE_BYTES = 1024 * 1024
#: Seconds that the sandbox may take for one step: a listing of very many files takes some.
_STEP_SECONDS = 60.0


class SandboxFileError(RuntimeError):
    """The sandbox refused; the message names the path."""


class SandboxFileNotFoundError(SandboxFileError):
    """There is no such file in the sandbox, or no longer."""


@dataclass(frozen=True)
class Found:
    """A regular file in a sandbox."""

    size: int
    modified_ns: int
    mode: int


class SandboxFiles:
    """Reads and writes through a sandbox's agent. All of it raises `sandbox.SandboxError`, too."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def below(self, directory: str) -> dict[str, Found]:
        """Return the regular files below a directory by their relative paths; none if there is none.

        Raises:
            SandboxFileError: it is no directory, or holds too much.
        """
        try:
            listed = json.loads(await self._call("list_tree", path=directory))
        except SandboxFileNotFoundError:
            return {}
        return {name: Found(size, modified, mode) for name, size, modified, mode in listed}

    async def make_directory(self, path: str) -> None:
        """Make a directory and its parents.

        Raises:
            SandboxFileError: it can't be made.
        """
        await self._call("create_directory", path=path)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """Yield a file in pieces.

        Raises:
            SandboxFileError: it can't be read.
        """
        offset = 0
        while True:
            text = await self._call(
                "read_file", path=path, offset=offset, length=PIECE_BYTES, format="binary"
            )
            piece = base64.b64decode(text)
            if piece:
                yield piece
            if len(piece) < PIECE_BYTES:
                return
            offset += len(piece)

    async def write(self, path: str, read: Callable[[int], bytes], mode: int, modified_ns: int) -> None:
        """Write a file whose content ``read(bytes)`` gives; it appears when it is whole.

        Raises:
            SandboxFileError: it can't be written.
        """
        offset = 0
        piece = await asyncio.to_thread(read, PIECE_BYTES)
        while True:
            following = await asyncio.to_thread(read, PIECE_BYTES) if piece else b""
            await self._call(
                "put_file",
                path=path,
                offset=offset,
                data=base64.b64encode(piece).decode("ascii"),
                done=None if following else [mode, modified_ns],
            )
            if not following:
                return
            offset += len(piece)
            piece = following

    async def _call(self, tool: str, **arguments: Any) -> str:
        answer = await self._sandbox.call(tool, arguments, _STEP_SECONDS)
        if answer.ok:
            return answer.text
        if answer.text.startswith("not found: "):
            raise SandboxFileNotFoundError(answer.text)
        raise SandboxFileError(answer.text)
