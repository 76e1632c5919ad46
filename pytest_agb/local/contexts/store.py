"""Contexts: named storage for files, which outlives the sessions that use it.

On disk::

    <directory>/lock                     held by the server that uses the directory
    <directory>/<context ID>/about.json  its name, times and recycling rules
    <directory>/<context ID>/files/…     its files, see `context_files`
    <directory>/incoming/                what is being written
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pytest_agb.local import background
from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError, ContextFiles
from pytest_agb.removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger("pytest_agb.local")

#: Seconds between two looks for what has expired.
_RECYCLE_SECONDS = 60.0


class ContextsError(RuntimeError):
    """The directory can't be used; the message has cause and remedy."""


class ContextNotFoundError(LookupError):
    """There is no such context; the message names it."""


class ContextNameError(ValueError):
    """A context can't have that name; the message says why."""


@dataclass
class Context:
    """What is known about a context. Times are Unix times in seconds."""

    context_id: str
    name: str
    created: float
    last_used: float
    #: Made for one session's file transfers: in no list, and gone with the session.
    internal: bool = False
    #: Seconds that a file is kept after it was stored, by folder.
    recycle: dict[str, float] = field(default_factory=dict)


class ContextStore:
    """All contexts of the server.

    Raises:
        ContextsError: the directory can't be made, read, or is another server's.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._contexts: dict[str, Context] = {}
        self._files: dict[str, ContextFiles] = {}
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (directory / "lock").open("w")
        except OSError as error:
            raise ContextsError(
                f"contexts can't be kept in {directory} ({error.strerror}); give another --data-dir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ContextsError(
                f"another server uses {directory}; end it, or give another --data-dir"
            ) from None
        _remove(directory / "incoming")
        for about in sorted(directory.glob("*/about.json")):
            self._load(about)

    def _load(self, about: Path) -> None:
        try:
            context = Context(**json.loads(about.read_text(encoding="utf-8")))
            if context.context_id != about.parent.name:
                raise ValueError("it is another context's")
        except (OSError, ValueError, TypeError) as error:
            self.close()
            raise ContextsError(f"{about} can't be read ({error}); repair it or move it away") from error
        if context.internal:
            _remove(about.parent)  # its session went with the server that was here before us
        else:
            self._contexts[context.context_id] = context

    def close(self) -> None:
        """Leave the directory to the next server."""
        self._lock.close()

    # ------------------------------------------------------------------ contexts

    def create(self, name: str, *, internal: bool = False) -> Context:
        """Make a context.

        Raises:
            ContextNameError: there is one of that name, or it is no name.
        """
        self._check_name(name)
        context_id = f"SdkCtx-{secrets.token_hex(10)}"
        now = self._clock()
        context = self._contexts[context_id] = Context(context_id, name, now, now, internal)
        self._save(context)
        return context

    def get(self, context_id: str) -> Context:
        """Return a context.

        Raises:
            ContextNotFoundError
        """
        context = self._contexts.get(context_id)
        if context is None:
            raise ContextNotFoundError(f"Context [{context_id}] is not found")
        return context

    def named(self, name: str) -> Context | None:
        """Return the context of that name, if there is one."""
        return next((one for one in self._contexts.values() if one.name == name and not one.internal), None)

    def listed(self) -> list[Context]:
        """Return the contexts that people made, oldest first."""
        found = [context for context in self._contexts.values() if not context.internal]
        return sorted(found, key=lambda context: (context.created, context.context_id))

    def rename(self, context_id: str, name: str) -> None:
        """Give a context another name.

        Raises:
            ContextNotFoundError, ContextNameError
        """
        context = self.get(context_id)
        if name != context.name:
            self._check_name(name)
            context.name = name
            self._save(context)

    def used(self, context_id: str) -> None:
        """Note that a context is being used."""
        context = self.get(context_id)
        context.last_used = self._clock()
        self._save(context)

    async def clear(self, context_id: str) -> None:
        """Delete all files of a context.

        Raises:
            ContextNotFoundError
        """
        self.used(context_id)
        await self._remove(self._directory / context_id / "files")

    async def delete(self, context_id: str) -> None:
        """Delete a context with its files.

        Raises:
            ContextNotFoundError
        """
        self.get(context_id)
        del self._contexts[context_id]
        self._files.pop(context_id, None)
        await self._remove(self._directory / context_id)

    def files(self, context_id: str) -> ContextFiles:
        """Return the files of a context.

        Raises:
            ContextNotFoundError
        """
        self.get(context_id)
        if context_id not in self._files:
            root = self._directory / context_id / "files"
            self._files[context_id] = ContextFiles(root, self._directory / "incoming")
        return self._files[context_id]

    def _check_name(self, name: str) -> None:
        if not name or len(name) > 256:
            raise ContextNameError("a context's name has 1 to 256 characters")
        if self.named(name) is not None:
            raise ContextNameError(f"there is a context named {name!r} already")

    def _save(self, context: Context) -> None:
        place = self._directory / context.context_id
        place.mkdir(mode=0o700, exist_ok=True)
        part = place / "about.part"
        part.write_text(json.dumps(asdict(context), indent=1), encoding="utf-8")
        part.replace(place / "about.json")

    async def _remove(self, path: Path) -> None:
        """Remove a tree: out of sight at once, the rest takes its time."""
        trash = self._directory / "incoming" / secrets.token_hex(12)
        trash.parent.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.rename(trash)
            await asyncio.to_thread(_remove, trash)

    # ------------------------------------------------------------------ recycling

    def set_recycling(self, context_id: str, folder: str, seconds: float | None) -> None:
        """Keep the files of a folder for ``seconds`` after they are stored; ``None``: for ever.

        Raises:
            ContextNotFoundError
        """
        context = self.get(context_id)
        if context.recycle.get(folder) == seconds:
            return
        if seconds is None:
            context.recycle.pop(folder, None)
        else:
            context.recycle[folder] = seconds
        self._save(context)

    def recycle(self) -> None:
        """Delete the files whose time is over."""
        now = self._clock()
        for context in list(self._contexts.values()):
            for folder, seconds in list(context.recycle.items()):
                # What is deleted meanwhile, a file or all of the context, needs no recycling.
                try:
                    with contextlib.suppress(ContextNotFoundError):
                        self._recycle(context.context_id, folder, now - seconds)
                except (OSError, ContextFileError) as error:  # the others' time is over all the same
                    logger.error("%s of %s can't be recycled: %s", folder, context.context_id, error)

    def _recycle(self, context_id: str, folder: str, oldest: float) -> None:
        files = self.files(context_id)
        for entry in files.below(folder).values():
            if entry.stored <= oldest:
                with contextlib.suppress(ContextFileNotFoundError):
                    files.delete(entry.key)

    async def recycle_forever(self) -> None:
        """Look for what has expired, until cancelled."""
        await background.repeat(
            lambda: asyncio.to_thread(self.recycle), _RECYCLE_SECONDS, "recycling of contexts"
        )


def _remove(directory: Path) -> None:
    left = remove_tree(directory)
    if left is not None:
        logger.warning("%s could not be removed: %s", directory, left)
