"""Reads single JSON values that may come in more than one type. Pure."""

from __future__ import annotations

from pytest_agb import parse_number


def text_of(value: object) -> str:
    """A JSON value as a string, nothing as an empty one."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def whole_of(value: object) -> int | None:
    """A JSON value, perhaps a text, as a whole number; ``None`` where it is none."""
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, str):
        return parse_number.whole(value, -parse_number.MOST, parse_number.MOST)
    return None


def seconds_of(value: object) -> float:
    """A JSON number as seconds, 0 where it is none that a clock could show."""
    return float(value) if isinstance(value, (int, float)) and 0 <= value <= parse_number.MOST else 0.0
