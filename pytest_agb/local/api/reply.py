"""The service's answers: an HTTP status and an envelope."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response


@dataclass(frozen=True)
class Reply:
    """An answer. ``more`` are siblings of ``data``, as `ListSession` has them."""

    status: int = 200
    code: str = "ok"
    #: Empty on success and on a tool's error: the SDK shows it in place of the tool's own text.
    message: str = ""
    data: Any = None
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return what goes out, with a request ID. No ``data`` on failure: the SDK takes some for success."""
        request_id = str(uuid.uuid4()).upper()
        body: dict[str, Any] = {
            "requestId": request_id,
            "success": self.status < 400,
            "code": self.code,
            "message": self.message,
            "httpStatusCode": self.status,
        }
        if self.data is not None:
            body["data"] = self.data
        # ASCII: a lone surrogate in a file's text has no UTF-8.
        text = json.dumps({**body, **self.more}).encode("ascii")
        return Response(text, self.status, {"x-request-id": request_id, **self.headers}, "application/json")


def failure(status: int, code: str, message: str) -> Reply:
    """Return an answer that says no."""
    return Reply(status, code, message)
