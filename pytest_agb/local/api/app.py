"""The HTTP face: the AGB API's paths, its key, its envelopes.

What each answer must hold is what agbcloud-sdk 0.12 reads; see the comments where that surprises.
"""

from __future__ import annotations

import functools
import hmac
import json
import logging
import math
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

from pytest_agb.local.api import context_routes, link_routes, page, session_routes, signed_urls, websocket
from pytest_agb.local.api.reply import Reply, failure
from pytest_agb.local.api.request import BadRequestError, Call
from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError
from pytest_agb.local.contexts.store import ContextNameError, ContextNotFoundError
from pytest_agb.local.contexts.sync import NotBoundError
from pytest_agb.local.sessions import registry

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from pytest_agb.local.api.throttle import Throttle
    from pytest_agb.local.contexts.store import ContextStore

logger = logging.getLogger("pytest_agb.local")

_LINK = re.compile(f"{session_routes.LINK_PATH}([^/]+)/callTool")
#: Bytes of a request's body.
MAX_BODY_BYTES = 64 * 1024 * 1024


_Route = tuple[str, Callable[[Call], Awaitable[Reply]]]
_Handlers = TypeVar("_Handlers")


class App:
    """The ASGI application."""

    def __init__(
        self,
        live: registry.Sessions,
        contexts: ContextStore,
        api_key: str,
        *,
        throttle: Throttle | None = None,
        link_route: bool = False,
        no_ports: str = "",
    ) -> None:
        self._live = live
        self._throttle = throttle
        self._urls = signed_urls.SignedUrls(contexts)
        about_contexts = context_routes.ContextControl(contexts, live, self._urls)
        about_sessions = session_routes.Control(live, about_contexts, link_route=link_route)
        self._page = page.Page(live)
        self._links = link_routes.LinkControl(live, no_ports)
        self._routes = {
            **_bound(session_routes.ROUTES, about_sessions),
            **_bound(context_routes.ROUTES, about_contexts),
            **_bound(link_routes.ROUTES, self._links),
        }
        self._authorization = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.requests import Request
        from starlette.websockets import WebSocket

        if scope["type"] == "websocket":
            await websocket.serve(WebSocket(scope, receive, send), self._live)
            return

        request = Request(scope, receive)
        reply: Response | Reply
        if request.url.path == page.PATH:
            reply = await self._page.answer(request)  # by the session's token
        elif request.url.path == signed_urls.PATH:
            reply = await self._urls.answer(request)  # whoever has a signed URL needs no key
        else:
            reply = await self._answer(request)
        if isinstance(reply, Response):
            await reply(scope, receive, send)
            return
        request_id = str(uuid.uuid4()).upper()
        # ASCII: a lone surrogate in a file's text has no UTF-8.
        body = json.dumps({"requestId": request_id, **reply.envelope()}).encode("ascii")
        response = Response(
            body, reply.status, {"x-request-id": request_id, **reply.headers}, "application/json"
        )
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Reply:
        route: _Route | None
        if link := _LINK.fullmatch(request.url.path):
            # Its own token, the session's, is looked at there.
            token = request.headers.get("x-access-token", "")
            route = ("POST", functools.partial(self._links.call_tool, session_id=link[1], token=token))
        else:
            given = request.headers.get("authorization", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, self._authorization):
                return failure(401, "InvalidApiKey", "The API key is missing or not the one of this server.")
            if self._throttle is not None and (wait := self._throttle.wait_seconds()):
                return _too_many(self._throttle.per_second, wait)
            route = self._routes.get(request.url.path)
        if route is None:
            return failure(
                404, "InvalidAction.NotFound", f"There is no {request.url.path} on the local backend."
            )
        method, handler = route
        if request.method != method:
            return failure(405, "InvalidMethod", f"{request.url.path} is called with {method}.")
        try:
            call = Call(request.query_params, await _body(request), str(request.base_url).rstrip("/"))
            return await handler(call)
        except BadRequestError as error:
            return failure(400, "InvalidParameter", str(error))
        except registry.SessionNotFoundError:
            # The code and the words by which the SDK's delete knows that it is done.
            return failure(400, "InvalidMcpSession.NotFound", "Session not found")
        except registry.QuotaError as error:
            return failure(429, "QuotaExceeded", str(error))
        except registry.ImageNotFoundError as error:
            return failure(400, "InvalidImage.NotFound", str(error))
        except registry.ImageNotHereError as error:
            return failure(400, "NotSupported", str(error))
        except NotBoundError as error:
            return failure(400, "InvalidContext.NotBound", str(error))
        except ContextNotFoundError as error:
            return failure(400, "InvalidContext.NotFound", str(error))
        except ContextNameError as error:
            return failure(400, "InvalidContextName", str(error))
        except ContextFileNotFoundError as error:
            return failure(400, "InvalidContextFile.NotFound", str(error))
        except ContextFileError as error:
            return failure(400, "InvalidContextFile", str(error))
        except Exception as error:
            # Never the arguments: they are the user's.
            logger.error("%s failed: %s", request.url.path, type(error).__name__, exc_info=error)
            return failure(500, "InternalError", f"The local backend failed: {type(error).__name__}: {error}")


def _too_many(per_second: float, wait: float) -> Reply:
    # Neither code nor header is documented by the service; these are what gateways of its kind send.
    return Reply(
        429,
        "Throttling.User",
        f"Too many requests: more than {per_second:g} a second",
        headers={"retry-after": str(math.ceil(wait))},
    )


def _bound(
    routes: dict[str, tuple[str, Callable[[_Handlers, Call], Awaitable[Reply]]]], handlers: _Handlers
) -> dict[str, _Route]:
    return {
        path: (method, functools.partial(handler, handlers)) for path, (method, handler) in routes.items()
    }


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > MAX_BODY_BYTES:
            raise BadRequestError(f"the body has more than {MAX_BODY_BYTES} bytes")
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequestError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body is no JSON object")
    return body
