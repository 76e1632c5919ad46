"""A request of the API, taken apart, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

#: Bytes of a request's body.
MAX_BODY_BYTES = 64 * 1024 * 1024
#: Things on one page of a list: what the SDK asks for, and the most there are.
PAGE, MAX_PAGE = 10, 1000


class BadRequestError(ValueError):
    """The request can't be understood; the message says what is wrong with it."""


@dataclass(frozen=True)
class Call:
    """One request, taken apart."""

    query: Mapping[str, str]
    body: dict[str, Any]
    #: Where the caller found the server, ``http://127.0.0.1:8377``.
    base_url: str
    #: What stands in the path for the names in the route's.
    path: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    async def read(cls, request: Request) -> Call:
        """Take a request apart, body and all.

        Raises:
            BadRequestError: the body is too long, or no JSON object.
        """
        body = await _body(request)
        base_url = str(request.base_url).rstrip("/")
        return cls(request.query_params, body, base_url, request.path_params, request.headers)

    def text(self, *names: str) -> str:
        """Return the first of ``names`` in body or query, as text without blanks around; ``""`` if none."""
        for name in names:
            for place in (self.body, self.query):
                value = place.get(name)
                if isinstance(value, str) and value.strip():
                    return value.strip()
        return ""

    def required(self, name: str) -> str:
        """Return what `text` does.

        Raises:
            BadRequestError: there is nothing of that name.
        """
        value = self.text(name)
        if not value:
            raise BadRequestError(f"{name} is missing")
        return value

    def number(self, name: str, *, default: int, lowest: int, highest: int) -> int:
        """Return a number that is given as text.

        Raises:
            BadRequestError: it is none, or out of bounds.
        """
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 12 and lowest <= int(text) <= highest):
            raise BadRequestError(f"{name} must be a number from {lowest} to {highest}, not {text!r:.50}")
        return int(text)


def json_object(value: Any, name: str) -> dict[str, Any]:
    """Return a JSON object that is given as one or, as the SDK does, as text; ``name`` is for the error.

    Raises:
        BadRequestError: it is neither.
    """
    if isinstance(value, (str, bytes, bytearray)):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRequestError(f"{name} is no JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError(f"{name} is no JSON object")
    return value


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > MAX_BODY_BYTES:
            raise BadRequestError(f"the body has more than {MAX_BODY_BYTES} bytes")
    return json_object(raw, "the body") if raw.strip() else {}
