"""What of an answer's text are the service's own words. Pure.

A refusal quotes what it refuses: an image's name, a label, a session's ID. Those are ours, and say nothing of
the kind of the refusal, whatever words they are made of: ``Image [my-unlimited-image] is not found`` is about
no limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from json import loads
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pytest_agb.client.api.messages import Request


def of(text: str, request: Request) -> str:
    """``text`` without what the request itself contained."""
    return without(text, _sent(request))


def without(text: str, quoted: Iterable[str]) -> str:
    """``text`` without these strings, the longest first, since the shorter ones may be parts of them.

    Only whole words go: of an image ``a`` nothing but a lone ``a`` is a quotation.
    """
    lower = text.lower()
    strings = {string for string in quoted if len(string) <= len(text) and string.strip()}
    for string in sorted((string for string in strings if string.lower() in lower), key=len, reverse=True):
        before = r"(?<!\w)" if re.match(r"\w", string, re.ASCII) else ""
        after = r"(?!\w)" if re.search(r"\w\Z", string, re.ASCII) else ""
        # ASCII: in Chinese a name stands between letters of the sentence.
        text = re.sub(f"{before}{re.escape(string)}{after}", " ", text, flags=re.ASCII | re.IGNORECASE)
    return text


def _sent(request: Request) -> Iterator[str]:
    yield request.path
    yield request.url
    yield urlsplit(request.url).netloc
    for part in (request.query, request.body or {}):
        for value in part.values():  # the names of these fields are the service's
            yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, those in JSON texts too."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
            try:
                inner = loads(item)
            except (ValueError, RecursionError):
                continue
            if isinstance(inner, (dict, list)):
                left.append(inner)
        elif isinstance(item, Mapping):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple)):
            left += item
