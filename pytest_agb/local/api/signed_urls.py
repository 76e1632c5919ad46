"""Signed URLs: who has one may put or get one file of a context until it expires, without the API key."""

from __future__ import annotations

import errno
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from pytest_agb.local.api.reply import Reply, failure
from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError, clean
from pytest_agb.local.contexts.store import ContextNotFoundError
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from pytest_agb.local.contexts.store import ContextStore

PATH = "/context-file"
#: How long a URL is good for. The service's are good for an hour.
LIFETIME_SECONDS = 3600


class SignedUrls:
    """Makes the URLs, with a secret of its own, and answers at them."""

    def __init__(self, contexts: ContextStore, *, clock: Callable[[], float] = time.time) -> None:
        self._contexts = contexts
        self._clock = clock
        self._secret = Secret(secrets.token_hex(32))

    def make(self, base_url: str, method: str, context_id: str, path: str) -> tuple[str, int]:
        """Return a URL for ``PUT`` or ``GET`` of a file, and the Unix time at which it expires, in seconds.

        Raises:
            ContextFileError: the path can't be a file's.
        """
        key = clean(path)
        if key != key.encode("utf-8", "replace").decode():
            raise ContextFileError(f"no path for a URL: {key!a}")
        expires = int(self._clock()) + LIFETIME_SECONDS
        query = {"contextId": context_id, "filePath": key, "expires": str(expires)}
        query["signature"] = self._sign(method, query)
        return f"{base_url}{PATH}?{urlencode(query)}", expires

    def _sign(self, method: str, query: Mapping[str, str]) -> str:
        named = "\n".join(query.get(name, "") for name in ("expires", "contextId", "filePath"))
        text = f"{method}\n{named}".encode()
        return hmac.new(self._secret.reveal().encode(), text, hashlib.sha256).hexdigest()

    async def answer(self, request: Request) -> Response:
        """Take in or give out a file."""
        answer = await self._answer(request)
        return answer.response() if isinstance(answer, Reply) else answer

    async def _answer(self, request: Request) -> Response | Reply:
        query = request.query_params
        given = query.get("signature", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self._sign(request.method, query).encode()):
            return failure(403, "SignatureDoesNotMatch", f"The URL is not signed for {request.method}.")
        if self._clock() >= int(query["expires"]):
            return failure(403, "AccessDenied", "The URL has expired; ask for a new one.")
        try:
            if request.method == "PUT":
                return await self._put(request, query["contextId"], query["filePath"])
            return self._get(query["contextId"], query["filePath"])
        except (ContextNotFoundError, ContextFileNotFoundError) as error:
            return failure(404, "NotFound", str(error))
        except ContextFileError as error:
            return failure(409, "Conflict", str(error))
        except OSError as error:
            status = 507 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 500
            return failure(status, "StorageFailed", f"The file can't be kept: {error.strerror}")

    async def _put(self, request: Request, context_id: str, key: str) -> Response | Reply:
        digest = hashlib.md5(usedforsecurity=False)  # what an object store's ETag is
        try:
            with self._contexts.files(context_id).writing(key) as file:
                async for piece in request.stream():
                    file.write(piece)
                    digest.update(piece)
        except ClientDisconnect:
            return failure(400, "IncompleteBody", "The upload was broken off.")
        self._contexts.used(context_id)
        return Response(headers={"etag": f'"{digest.hexdigest().upper()}"'})

    def _get(self, context_id: str, key: str) -> Response:
        files = self._contexts.files(context_id)
        files.read(key).close()  # says no in our words
        self._contexts.used(context_id)
        return FileResponse(files.place(key), media_type="application/octet-stream")
