"""What each path of the API that is about contexts does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from pytest_agb.local import background
from pytest_agb.local.api.endpoint import route
from pytest_agb.local.api.reply import Reply, failure
from pytest_agb.local.api.request import MAX_PAGE, PAGE, BadRequestError, json_object
from pytest_agb.local.contexts import policy
from pytest_agb.local.contexts.sync import DOWNLOAD, UPLOAD, Binding, SessionContexts
from pytest_agb.local.sessions.registry import SessionNotFoundError
from pytest_agb.local.sessions.sandbox import SandboxError
from pytest_agb.local.sessions.sandbox_files import SandboxFileError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from starlette.routing import Route

    from pytest_agb.local.api.request import Call
    from pytest_agb.local.api.signed_urls import SignedUrls
    from pytest_agb.local.contexts.files import Entry
    from pytest_agb.local.contexts.store import Context, ContextStore
    from pytest_agb.local.sessions.registry import Session, Sessions

#: Files on one page of a list: what the SDK asks for.
_FILES_PAGE = 50
#: Seconds that a session's creation or a sync waits for files. The SDK gives up on an answer after 60.
_ANSWER_SECONDS = 20.0
_FILE_TRANSFER = "file_transfer"


class ContextControl:
    """The handlers. Each takes a request apart, does one thing and says what came of it."""

    def __init__(self, contexts: ContextStore, live: Sessions, urls: SignedUrls) -> None:
        self._contexts = contexts
        self._live = live
        self._urls = urls
        self._bound: dict[str, SessionContexts] = {}

    def routes(self) -> list[Route]:
        """Return which path calls which handler."""
        return [
            route("GET", "/sdk/GetContext", self.get),
            route("GET", "/sdk/ListContexts", self.list_contexts),
            route("POST", "/sdk/ModifyContext", self.modify),
            route("POST", "/sdk/ClearContext", self.clear),
            route("POST", "/sdk/DeleteContext", self.delete),
            route("POST", "/sdk/GetContextFileUploadUrl", self.upload_url),
            route("POST", "/sdk/GetContextFileDownloadUrl", self.download_url),
            route("POST", "/sdk/DescribeContextFiles", self.list_files),
            route("POST", "/sdk/DeleteContextFile", self.delete_file),
            route("POST", "/sdk/SyncContext", self.sync),
            route("GET", "/sdk/GetContextInfo", self.info),
            route("POST", "/sdk/GetAndLoadInternalContext", self.internal),
        ]

    # ------------------------------------------------------------------ contexts

    async def get(self, call: Call) -> Reply:
        """``GetContext``: by ID, or by name, where ``allowCreate`` makes what is not there."""
        context_id, name = call.text("id"), call.text("name")
        create = call.text("allowCreate").lower() == "true"
        if context_id:
            if create:
                raise BadRequestError("id can't be given together with allowCreate, only name")
            return Reply(data=_about(self._contexts.get(context_id)))
        if not name:
            raise BadRequestError("id or name is missing")
        context = self._contexts.named(name)
        if context is None:
            context = self._contexts.create(name) if create else self._contexts.get(name)
        return Reply(data=_about(context))

    async def list_contexts(self, call: Call) -> Reply:
        """``ListContexts``, oldest first."""
        size = call.number("maxResults", default=PAGE, lowest=1, highest=MAX_PAGE)
        start = call.number("nextToken", default=0, lowest=0, highest=1 << 31)
        found = self._contexts.listed()
        more: dict[str, Any] = {"maxResults": size, "totalCount": len(found)}
        if start + size < len(found):
            more["nextToken"] = str(start + size)
        return Reply(data=[_about(context) for context in found[start : start + size]], more=more)

    async def modify(self, call: Call) -> Reply:
        """``ModifyContext``: another name."""
        self._contexts.rename(call.required("id"), call.required("name"))
        return Reply(data={})

    async def clear(self, call: Call) -> Reply:
        """``ClearContext``. Done when it answers, so the SDK's first look finds the context available."""
        await self._contexts.clear(call.required("id"))
        return Reply(data={})

    async def delete(self, call: Call) -> Reply:
        """``DeleteContext``."""
        await self._contexts.delete(call.required("id"))
        return Reply(data={})

    # ------------------------------------------------------------------ files

    async def upload_url(self, call: Call) -> Reply:
        """``GetContextFileUploadUrl``."""
        return self._url(call, "PUT")

    async def download_url(self, call: Call) -> Reply:
        """``GetContextFileDownloadUrl``, for a file that is not there too: as the URL of an object store."""
        return self._url(call, "GET")

    def _url(self, call: Call, method: str) -> Reply:
        context = self._contexts.get(call.required("contextId"))
        url, expires = self._urls.make(call.base_url, method, context.context_id, call.required("filePath"))
        return Reply(data={"url": url, "expireTime": expires})

    async def list_files(self, call: Call) -> Reply:
        """``DescribeContextFiles``: what is directly in a folder. ``count`` is that of all pages."""
        files = self._contexts.files(call.required("contextId"))
        size = call.number("pageSize", default=_FILES_PAGE, lowest=1, highest=MAX_PAGE)
        page = call.number("pageNumber", default=1, lowest=1, highest=1 << 31)
        found = files.folder(call.text("parentFolderPath"))
        start = (page - 1) * size
        return Reply(data=[_file(entry) for entry in found[start : start + size]], more={"count": len(found)})

    async def delete_file(self, call: Call) -> Reply:
        """``DeleteContextFile``."""
        files = self._contexts.files(call.required("contextId"))
        files.delete(call.required("filePath"))
        return Reply(data={})

    # ------------------------------------------------------------------ contexts of a session

    def binder(self, value: Any) -> Callable[[Session], Awaitable[None]]:
        """Take apart what ``createSession`` says of contexts, and return what binds them to the session.

        Raises:
            BadRequestError, store.ContextNotFoundError, files.ContextFileError, policy.PolicyError
        """
        return functools.partial(self._bind, self._bindings(value))

    def _bindings(self, value: Any) -> list[Binding]:
        if not value:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise BadRequestError("persistenceDataList is no array of objects")
        bindings = []
        for one in value:
            context_id, path = one.get("contextId"), one.get("path")
            if not isinstance(context_id, str) or not isinstance(path, str) or not path.startswith("/"):
                raise BadRequestError(
                    "persistenceDataList needs contextId and path, and path must be absolute"
                )
            self._contexts.get(context_id)
            given = one.get("policy")
            rules = {} if given in (None, "") else json_object(given, "policy")
            bindings.append(Binding(context_id, path, policy.parse(rules)))
        return bindings

    async def _bind(self, bindings: list[Binding], session: Session) -> None:
        """Bind contexts to a new session, and download."""
        if bindings:
            bound = self._of(session)
            for binding in bindings:
                bound.bind(binding)
            await self._at_work(session, bound.begin())

    def _of(self, session: Session) -> SessionContexts:
        bound = self._bound.get(session.session_id)
        if bound is None:
            bound = self._bound[session.session_id] = SessionContexts(session.sandbox, self._contexts)
            session.before_end.append(functools.partial(self._end, session.session_id, bound))
        return bound

    async def _end(self, session_id: str, bound: SessionContexts) -> None:
        await bound.end()
        del self._bound[session_id]

    async def _at_work(self, session: Session, work: Coroutine[Any, Any, None]) -> None:
        """Wait until ``work`` is done, though not so long that the client gives up: the SDK asks again."""

        async def working() -> None:
            session.busy += 1
            try:
                await work
            finally:
                session.busy -= 1
                with contextlib.suppress(SessionNotFoundError):
                    self._live.get(session.session_id)  # its idle time starts anew

        task = asyncio.create_task(working(), name=f"files of {session.session_id}")
        try:
            await asyncio.wait({task}, timeout=_ANSWER_SECONDS)
        finally:
            if not task.done():
                background.watch(task)
        if task.done():
            task.result()

    async def sync(self, call: Call) -> Reply:
        """``SyncContext``: the SDK then asks `info` until nothing is in progress."""
        session = self._live.get(call.required("sessionId"))
        mode = call.text("mode").lower() or UPLOAD
        if mode not in (UPLOAD, DOWNLOAD):
            raise BadRequestError(f"mode must be {UPLOAD} or {DOWNLOAD}, not {mode!r:.50}")
        context_id, path = call.text("contextId"), call.text("path")
        if bool(context_id) != bool(path):
            raise BadRequestError("contextId and path must be given together, or neither")
        await self._at_work(session, self._of(session).sync(mode, context_id, path))
        return Reply(data={})

    async def info(self, call: Call) -> Reply:
        """``GetContextInfo``: JSON text in JSON text."""
        session = self._live.get(call.required("sessionId"))
        bound = self._bound.get(session.session_id)
        tasks = bound.tasks(call.text("contextId"), call.text("path"), call.text("taskType")) if bound else []
        status = [{"type": "data", "data": json.dumps(tasks)}] if tasks else []
        return Reply(data={"contextStatus": json.dumps(status)})

    async def internal(self, call: Call) -> Reply:
        """``GetAndLoadInternalContext``: the context by which the SDK's `file.upload` and `download` go."""
        session = self._live.get(call.required("sessionId"))
        types = call.text("contextTypes")
        if types not in ("", json.dumps([_FILE_TRANSFER])):
            raise BadRequestError(f'contextTypes must be ["{_FILE_TRANSFER}"], not {types:.100}')
        try:
            binding = await self._of(session).transfers(session.session_id)
        except (SandboxError, SandboxFileError) as error:
            return failure(503, "SandboxFailed", f"Files can't be transferred: {error}")
        data = {
            "contextId": binding.context_id,
            "contextType": _FILE_TRANSFER,
            "contextPath": binding.path,
        }
        return Reply(data=[data])


def _about(context: Context) -> dict[str, Any]:
    return {
        "id": context.context_id,
        "name": context.name,
        "createTime": _time(context.created),
        "lastUsedTime": _time(context.last_used),
        "state": "available",
    }


def _file(entry: Entry) -> dict[str, Any]:
    return {
        "fileId": hashlib.sha256(entry.key.encode("utf-8", "surrogateescape")).hexdigest()[:32],
        "fileName": entry.key.rpartition("/")[2],
        "filePath": entry.key,
        "fileType": "folder" if entry.is_folder else "file",
        "size": entry.size,
        "gmtCreate": _time(entry.stored),
        "gmtModified": _time(entry.modified_ns / 1e9),
    }


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
