"""Go through an object as debuggers and printers of variables do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def texts(*start: Any) -> Iterator[str]:
    """Every string, or bytes as one, that is reached by attributes, slots, items and elements."""
    seen: dict[int, Any] = {}
    pending = list(start)
    while pending:
        thing = pending.pop()
        if isinstance(thing, str):
            yield thing
        elif isinstance(thing, (bytes, bytearray)):
            yield thing.decode("latin-1")
        elif id(thing) not in seen and not isinstance(thing, type):
            seen[id(thing)] = thing
            yield repr(thing)
            pending += _inside(thing)


def _inside(thing: Any) -> Iterable[Any]:
    yield from getattr(thing, "__dict__", {}).values()
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            yield getattr(thing, name, None)
    if isinstance(thing, Mapping):
        yield from thing.keys()
        yield from thing.values()
    elif isinstance(thing, (list, tuple, set, frozenset, deque)):
        yield from thing
    if callable(thing):
        yield getattr(thing, "__self__", None)
