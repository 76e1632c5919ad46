"""Texts that `str.isdigit`, `int` or `float` take for numbers, and hardly anybody means as such."""

#: None of them is a number to us, wherever it comes from.
ODD_NUMBERS = [
    "\u00b2",  # superscript two, a digit to `isdigit`, and a ValueError to `int`
    "\uff11\uff12",  # full width, as Japanese keyboards type them
    "\u0661\u0662",  # Arabic-Indic
    "1_000",
    "1e3",
    "+5",
    "-0",
    "-5",
    "nan",
    "inf",
    "Infinity",
    "0x10",
    "1,5",
    "1 2",
    "12.",
    ".5",
    "9" * 400,
    "9" * 5000,  # more than `int` takes since Python 3.11
]


def name(text: str) -> str:
    """A test's ID for such a text, which `argv` may not hold at all."""
    return ascii(text)[:16]
