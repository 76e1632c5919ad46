"""The ways in which the stand-in says no, or makes no sense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from support.standin_http import HttpReply

if TYPE_CHECKING:
    from collections.abc import Mapping

Fault = Literal[
    "drop_before",  # the connection breaks, nothing was done
    "drop_after",  # it was done, the connection breaks before the answer
    "hang",  # it was done, the answer comes after `hang_seconds`
    "html",  # HTTP 200 with a page, nothing was done
    "html_502",
    "not_json",
    "401",
    "400_key",  # the key is refused by code
    "403",
    "429",  # with `Retry-After: retry_after`
    "500_after",  # it was done, the answer says 500
    "429_after",  # it was done, the answer says 429
    "400_after",  # it was done, the answer is a refusal
    "hollow_after",  # it was done, the answer says so and no more
    "circle",  # a listing whose pages go round
    "no_end",  # a listing that names one more page each time
    "503",
    "ignores_filter",  # a listing shows all sessions of the account, whatever was asked for
]


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


_PAGE = b"<html><head><title>Sign in</title></head><body>Please sign in</body></html>"
PAGES: dict[Fault | None, HttpReply] = {
    "html": HttpReply(200, _PAGE, {"content-type": "text/html"}),
    "html_502": HttpReply(502, b"<html><h1>502 Bad Gateway</h1></html>", {"content-type": "text/html"}),
    "not_json": HttpReply(200, b'{"success": tru'),
}

AFTER: dict[Fault | None, RefusedError] = {
    "500_after": RefusedError(500, "InternalError", "Something broke"),
    "429_after": RefusedError(429, "Throttling.User", "Too many requests"),
    "400_after": RefusedError(400, "OperationFailed", "It did not work out"),
}
REFUSALS: dict[Fault | None, RefusedError] = {
    "401": RefusedError(401, "InvalidApiKey", "The API key is invalid"),
    "400_key": RefusedError(400, "InvalidApiKey", "The API key is invalid"),
    "403": RefusedError(403, "AccessDenied", "Not for you"),
    "429": RefusedError(429, "Throttling.User", "Too many requests"),
    "503": RefusedError(503, "ServiceUnavailable", "The service is unavailable"),
}


def reply(status: int, number: int, headers: Mapping[str, str] | None = None, **envelope: Any) -> HttpReply:
    payload = {"success": True, "code": "ok", "message": "", "httpStatusCode": status, "data": {}, **envelope}
    body = json.dumps({"requestId": f"REQUEST-{number}", **payload}).encode()
    return HttpReply(status, body, headers or {})


def refused(number: int, error: RefusedError, retry_after: str | None = None) -> HttpReply:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return reply(error.status, number, headers, success=False, code=error.code, message=error.message)
