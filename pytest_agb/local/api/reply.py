"""The service's answers: an HTTP status and an envelope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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

    def envelope(self) -> dict[str, Any]:
        """Return the body, without the request ID. No ``data`` on failure: the SDK takes some for success."""
        body: dict[str, Any] = {
            "success": self.status < 400,
            "code": self.code,
            "message": self.message,
            "httpStatusCode": self.status,
        }
        if self.data is not None:
            body["data"] = self.data
        return {**body, **self.more}


def failure(status: int, code: str, message: str) -> Reply:
    """Return an answer that says no."""
    return Reply(status, code, message)
