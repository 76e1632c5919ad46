"""Lets through requests that carry the API key, and no more of them than there may be."""

from __future__ import annotations

import hmac
import math
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from pytest_agb.local.api.reply import Reply, failure

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pytest_agb.local.api.throttle import Throttle
    from pytest_agb.secret import Secret


class Gate:
    """The middleware before all paths that need the key."""

    def __init__(self, app: ASGIApp, *, api_key: Secret, throttle: Throttle | None) -> None:
        self._app = app
        self._key = api_key
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        # A WebSocket is none of these paths': the router refuses it.
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await refusal.response()(scope, receive, send)

    def _refusal(self, headers: Headers) -> Reply | None:
        given = headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self._key.reveal()}".encode()):
            return failure(401, "InvalidApiKey", "The API key is missing or not the one of this server.")
        if self._throttle is not None and (wait := self._throttle.wait_seconds()):
            # Neither code nor header is documented by the service; these are what gateways of its kind send.
            return Reply(
                429,
                "Throttling.User",
                f"Too many requests: more than {self._throttle.per_second:g} a second",
                headers={"retry-after": str(math.ceil(wait))},
            )
        return None
