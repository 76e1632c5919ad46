"""What each path of the API that is about contexts does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .control import MAX_PAGE, PAGE
from .reply import Reply
from .request import BadRequestError

if TYPE_CHECKING:
    from .context_files import Entry
    from .contexts import Context, Contexts
    from .request import Call
    from .signed_urls import SignedUrls

#: Files on one page of a list: what the SDK asks for.
_FILES_PAGE = 50


class ContextControl:
    """The handlers. Each takes a request apart, does one thing and says what came of it."""

    def __init__(self, contexts: Contexts, urls: SignedUrls) -> None:
        self._contexts = contexts
        self._urls = urls

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


Handler = Callable[[ContextControl, "Call"], Awaitable[Reply]]
ROUTES: dict[str, tuple[str, Handler]] = {
    "/sdk/GetContext": ("GET", ContextControl.get),
    "/sdk/ListContexts": ("GET", ContextControl.list_contexts),
    "/sdk/ModifyContext": ("POST", ContextControl.modify),
    "/sdk/ClearContext": ("POST", ContextControl.clear),
    "/sdk/DeleteContext": ("POST", ContextControl.delete),
    "/sdk/GetContextFileUploadUrl": ("POST", ContextControl.upload_url),
    "/sdk/GetContextFileDownloadUrl": ("POST", ContextControl.download_url),
    "/sdk/DescribeContextFiles": ("POST", ContextControl.list_files),
    "/sdk/DeleteContextFile": ("POST", ContextControl.delete_file),
}
