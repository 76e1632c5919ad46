"""A request of the API, taken apart, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class BadRequestError(ValueError):
    """The request can't be understood; the message says what is wrong with it."""


@dataclass(frozen=True)
class Call:
    """One request, taken apart."""

    query: Mapping[str, str]
    body: dict[str, Any]
    #: Where the caller found the server, ``http://127.0.0.1:8377``.
    base_url: str

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
    """Return a JSON object that is given as one or, as the SDK does, as text.

    Raises:
        BadRequestError: it is neither.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRequestError(f"{name} is no JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError(f"{name} is no JSON object")
    return value
