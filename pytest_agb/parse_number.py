"""Reads numbers that come as text: from the environment, command lines, ini files, labels and answers.

`str.isdigit`, `int` and `float` take more than people mean by a number: other scripts' digits, ``1_000``,
``+5``, ``nan``. Here it is ASCII digits. What is none, or is out of bounds, gives ``None``: who asked knows
what to say then. Blanks are not taken either: who reads from where they mean nothing strips them.

Standard library only, and no pattern: the plugin's start-up imports it.
"""

#: Seconds are less than 32 years where nothing else is said: all of Python's ways to wait take that.
MOST_SECONDS = 999_999_999

#: As many digits as a float holds, and more than any number that we read has.
_MOST_DIGITS = 15
MOST = 10**_MOST_DIGITS - 1
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def whole(text: str, least: int, most: int) -> int | None:
    """Read a whole number from ``least`` to ``most``; a minus is taken where ``least`` is below 0."""
    digits = text.removeprefix("-") if least < 0 else text
    if not _are_digits(digits) or len(digits) > _MOST_DIGITS:
        return None
    number = int(text)
    return number if least <= number <= most else None


def decimal(text: str, least: float, most: float) -> float | None:
    """Read a whole or decimal number, as `whole` does."""
    before, point, after = text.partition(".")
    digits = before.removeprefix("-") if least < 0 else before
    if not _are_digits(digits) or len(digits) > _MOST_DIGITS or (point and not _are_digits(after)):
        return None
    number = float(text)
    return number if least <= number <= most else None


def seconds(text: str) -> float | None:
    """Read seconds: a whole or decimal number from 0 to `MOST_SECONDS`."""
    return decimal(text, 0, MOST_SECONDS)


def duration(text: str) -> float | None:
    """Read seconds from a number with its unit: ``90s``, ``30m``, ``1.5h`` or ``1d``."""
    number = seconds(text[:-1])
    unit = _UNITS.get(text[-1:])
    return None if number is None or unit is None else number * unit


def shown(text: str) -> str:
    """``text`` as a message quotes it, however long it is."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
