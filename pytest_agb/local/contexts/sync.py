"""A session and its contexts: files go to and fro as the policies say.

A context is bound to a path of the session. What is at ``<path>/a/b`` there has the key ``<path>/a/b`` in
the context, or another prefix where the policy maps one path to another. A file is carried if its size or
its time differ. Folders without files, links and devices are not carried: an object store has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import posixpath
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_agb.local.contexts import archive
from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError, clean
from pytest_agb.local.contexts.policy import SyncPolicy, is_in
from pytest_agb.local.contexts.store import ContextNotFoundError
from pytest_agb.local.sessions.sandbox import SandboxError
from pytest_agb.local.sessions.sandbox_files import SandboxFileError, SandboxFileNotFoundError, SandboxFiles

if TYPE_CHECKING:
    from pytest_agb.local.contexts.files import ContextFiles, Entry
    from pytest_agb.local.contexts.store import ContextStore
    from pytest_agb.local.sessions.sandbox import Sandbox
    from pytest_agb.local.sessions.sandbox_files import Found

logger = logging.getLogger("pytest_agb.local")

UPLOAD, DOWNLOAD = "upload", "download"
#: Where file transfers have their place, and where else the SDK's tests expect them to work.
_TRANSFER_PATH = "/tmp/file-transfer"
_TRANSFERS_TOO = ("/tmp", "/home/user")
_TRANSFER_POLICY = SyncPolicy(auto_upload=False, auto_download=False, sync_deletions=False, extract=False)


class NotBoundError(LookupError):
    """No context is bound there; the message says what is."""


@dataclass
class Binding:
    """One context at one path of a session."""

    context_id: str
    #: As the client spelled it.
    path: str
    policy: SyncPolicy
    #: Only the files of the path itself are carried, and down only what is new in the context.
    flat: bool = False
    #: In the session, and before the keys in the context. Without a slash at the end.
    mount: str = field(init=False)
    prefix: str = field(init=False)
    #: What session and context had in common last, by relative path: who lacks it now has deleted it.
    common: set[str] = field(default_factory=set)
    #: The archives that were unpacked, as they were then.
    unpacked: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: The session's files when they were in the archive last.
    packed: dict[str, Found] | None = None
    #: Of a flat one: the files that were carried down, as they were in the context then.
    carried: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mount = clean(self.path)
        self.prefix = clean(self.policy.mapped_from) if self.policy.mapped_from else self.mount

    @property
    def archive(self) -> str:
        """The name of the archive that is uploaded in place of the files."""
        return f"{posixpath.basename(self.mount)}.zip"

    def takes(self, name: str) -> bool:
        """Whether a file takes part, by its path relative to the mount point."""
        return not (self.flat and "/" in name) and self.policy.includes(name)


@dataclass
class Task:
    """One way of one binding, for the SDK to look at. Times are Unix times in seconds."""

    context_id: str
    path: str
    kind: str
    status: str = "InProgress"
    error: str = ""
    started: int = 0
    finished: int = 0

    def shown(self) -> dict[str, Any]:
        """Return it as `GetContextInfo` has it."""
        return {
            "contextId": self.context_id,
            "path": self.path,
            "taskType": self.kind,
            "status": self.status,
            "errorMessage": self.error,
            "startTime": self.started,
            "finishTime": self.finished,
        }


class SessionContexts:
    """The contexts of one session. One thing is done at a time; failures end up in the tasks."""

    def __init__(self, sandbox: Sandbox, contexts: ContextStore) -> None:
        self._files = SandboxFiles(sandbox)
        self._contexts = contexts
        self._bindings: list[Binding] = []
        self._transfers: Binding | None = None
        self._transfers_elsewhere: dict[str, Binding] = {}
        self._tasks: dict[tuple[str, str], Task] = {}
        self._lock = asyncio.Lock()

    def bind(self, binding: Binding) -> None:
        """Bind a context to a path."""
        self._bindings.append(binding)

    async def transfers(self, session_id: str) -> Binding:
        """Return the binding for the session's file transfers, which is made when first asked for.

        Raises:
            sandbox.SandboxError, sandbox_files.SandboxFileError: the sandbox has no place for it.
        """
        async with self._lock:
            if self._transfers is None:
                await self._files.make_directory(_TRANSFER_PATH)
                context = self._contexts.create(f"file transfer of {session_id}", internal=True)
                self._transfers = Binding(context.context_id, _TRANSFER_PATH, _TRANSFER_POLICY)
            return self._transfers

    async def begin(self) -> None:
        """Download what the policies say, for a session that begins."""
        async with self._lock:
            for binding in self._bindings:
                if binding.policy.auto_download:
                    await self._do(DOWNLOAD, binding, binding.path)

    async def end(self) -> None:
        """Upload what the policies say, before the session ends; what was for it alone goes."""
        async with self._lock:
            for binding in self._bindings:
                if binding.policy.auto_upload:
                    await self._do(UPLOAD, binding, binding.path)
            if self._transfers is not None:
                with contextlib.suppress(ContextNotFoundError):
                    await self._contexts.delete(self._transfers.context_id)

    async def sync(self, kind: str, context_id: str, path: str) -> None:
        """Upload or download what is at a path of a context, or all contexts if none is named.

        Raises:
            NotBoundError: the context is not bound there. A failed task says so as well, since that is
                where the SDK looks.
        """
        if context_id:
            wanted = [(self._find(kind, context_id, path), path)]
        else:
            wanted = [(binding, binding.path) for binding in self._bindings]
        async with self._lock:
            for binding, place in wanted:
                await self._do(kind, binding, place)

    def _find(self, kind: str, context_id: str, path: str) -> Binding:
        wanted = clean(path, folder=True)
        for binding in [*self._bindings, *filter(None, [self._transfers])]:
            if binding.context_id == context_id and f"{wanted}/".startswith(f"{binding.mount}/"):
                return binding
        if self._transfers is not None and context_id == self._transfers.context_id:
            if any(is_in(wanted, clean(place)) for place in _TRANSFERS_TOO):
                binding = Binding(context_id, path, _TRANSFER_POLICY, flat=True)
                return self._transfers_elsewhere.setdefault(wanted, binding)
            bound = f"files are transferred below {' and '.join(_TRANSFERS_TOO)}"
        else:
            bound = ", ".join(f"{one.context_id} at {one.path}" for one in self._bindings) or "none is"
        error = f"Context [{context_id}] is not bound to {path} in this session; bound: {bound}"
        now = int(time.time())
        self._tasks[context_id, path] = Task(context_id, path, kind, "Failed", error, now, now)
        raise NotBoundError(error)

    def tasks(self, context_id: str, path: str, kind: str) -> list[dict[str, Any]]:
        """Return the last task of each binding and path; only those that match what is not empty."""
        return [
            task.shown()
            for task in self._tasks.values()
            if (not context_id or task.context_id == context_id)
            and (not path or task.path.rstrip("/") == path.rstrip("/"))
            and (not kind or task.kind == kind)
        ]

    async def _do(self, kind: str, binding: Binding, path: str) -> None:
        task = Task(binding.context_id, path, kind, started=int(time.time()))
        self._tasks[binding.context_id, path] = task
        within = clean(path, folder=True)[len(binding.mount) :].lstrip("/")
        try:
            files = self._contexts.files(binding.context_id)
            self._contexts.used(binding.context_id)
            if kind == DOWNLOAD:
                await self._download(binding, files, within)
            elif binding.policy.archive:
                await self._upload_archive(binding, files)
            else:
                await self._upload(binding, files, within)
            if kind == UPLOAD:
                self._keep(binding)
            task.status = "Success"
        except (
            SandboxError, SandboxFileError, ContextNotFoundError, ContextFileError,
            archive.ArchiveError, OSError,
        ) as error:  # fmt: skip
            task.status, task.error = "Failed", str(error)
            logger.warning("%s of %s at %s failed: %s", kind, binding.context_id, path, error)
        except BaseException as error:  # nobody is to wait for it for ever
            task.status, task.error = "Failed", f"broken off: {type(error).__name__}"
            raise
        finally:
            task.finished = int(time.time())

    # ------------------------------------------------------------------ from the context

    async def _download(self, binding: Binding, files: ContextFiles, within: str) -> None:
        await self._files.make_directory(binding.mount)
        stored = await asyncio.to_thread(files.below, binding.prefix)
        wanted = {
            name: entry for name, entry in stored.items() if is_in(name, within) and binding.takes(name)
        }
        # Archives first: a file that is there by itself is newer than its like in an archive.
        broken: list[archive.ArchiveError] = []
        for name, entry in wanted.items():
            if binding.policy.extract and archive.is_archive(name):
                try:
                    await self._unpack(binding, files, name, entry)
                except archive.ArchiveError as error:
                    broken.append(archive.ArchiveError(f"{entry.key}: {error}"))
        present = await self._files.below(binding.mount)
        for name, entry in wanted.items():
            if name in binding.unpacked and binding.policy.drop_archive:
                continue
            if binding.flat:
                state = (entry.size, entry.modified_ns)
                if binding.carried.get(name) == state:
                    continue
                binding.carried[name] = state
            if not _same(entry, present.get(name)):
                with files.read(entry.key) as source:
                    await self._files.write(
                        f"{binding.mount}/{name}", source.read, entry.mode, entry.modified_ns
                    )
            binding.common.add(name)
        if broken:
            raise broken[0]

    async def _unpack(self, binding: Binding, files: ContextFiles, name: str, entry: Entry) -> None:
        state = (entry.size, entry.modified_ns)
        if binding.unpacked.get(name) == state:
            return
        with files.read(entry.key) as source:
            ours = archive.is_ours(source)
            folder = posixpath.dirname(name) if ours or binding.policy.extract_here else name[: -len(".zip")]
            source.seek(0)
            await archive.unpack(source, self._files, posixpath.join(binding.mount, folder).rstrip("/"))
        binding.unpacked[name] = state
        if ours:
            binding.packed = await self._present(binding)

    # ------------------------------------------------------------------ to the context

    async def _upload(self, binding: Binding, files: ContextFiles, within: str) -> None:
        present = {
            name: found for name, found in (await self._present(binding)).items() if is_in(name, within)
        }
        stored = await asyncio.to_thread(files.below, binding.prefix)
        for name, found in present.items():
            if _same(stored.get(name), found):
                continue
            with (
                contextlib.suppress(SandboxFileNotFoundError),  # deleted meanwhile
                files.writing(f"{binding.prefix}/{name}") as target,
            ):
                async for piece in self._files.read(f"{binding.mount}/{name}"):
                    target.write(piece)
                files.set_attributes(target, found.mode, found.modified_ns)
        looked_at = {name for name in binding.common if is_in(name, within)}
        if binding.policy.sync_deletions:
            for name in looked_at - present.keys():
                with contextlib.suppress(ContextFileNotFoundError):
                    files.delete(f"{binding.prefix}/{name}")
        binding.common = binding.common - looked_at | present.keys()

    async def _upload_archive(self, binding: Binding, files: ContextFiles) -> None:
        present = await self._present(binding)
        present.pop(binding.archive, None)
        if present == binding.packed:
            return
        with files.writing(f"{binding.prefix}/{binding.archive}") as target:
            await archive.pack(self._files, binding.mount, present, target)
        binding.packed = present

    async def _present(self, binding: Binding) -> dict[str, Found]:
        """Return the session's files that take part."""
        present = await self._files.below(binding.mount)
        return {name: found for name, found in present.items() if binding.takes(name)}

    def _keep(self, binding: Binding) -> None:
        """Note how long what was uploaded is kept."""
        for path in binding.policy.keep_paths:
            folder = clean(f"{binding.prefix}/{path}")
            self._contexts.set_recycling(binding.context_id, folder, binding.policy.keep_seconds)


def _same(entry: Entry | None, found: Found | None) -> bool:
    return (
        entry is not None
        and found is not None
        and (entry.size, entry.modified_ns) == (found.size, found.modified_ns)
    )
