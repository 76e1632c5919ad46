"""A number that comes as text is ASCII digits within bounds, and nothing else."""

from __future__ import annotations

import pytest
from support.odd_numbers import ODD_NUMBERS, name

from pytest_agb import parse_number

ODD = [
    *ODD_NUMBERS,
    "",
    " ",
    " 12",
    "12 ",
    "12\n",
    "12\u00a0",
    "soon",
    "--5",
    "1.2.3",
    "1.-5",
    "1._5",
    "1.\u00b2",
    "1.5e3",
]


@pytest.mark.parametrize("text", ODD, ids=name)
def test_what_nobody_means_as_a_number_is_none(text: str) -> None:
    assert parse_number.whole(text, 0, parse_number.MOST) is None
    assert parse_number.decimal(text, 0, parse_number.MOST) is None
    assert parse_number.seconds(text) is None
    assert parse_number.duration(f"{text}s") is None


@pytest.mark.parametrize(
    ("text", "least", "most", "number"),
    [
        ("0", 0, 9, 0),
        ("9", 0, 9, 9),
        ("10", 0, 9, None),
        ("1", 2, 9, None),
        ("007", 1, 9, 7),
        ("12.0", 0, 99, None),
        ("-3", -9, 9, -3),
        ("-10", -9, 9, None),
        ("+3", -9, 9, None),
        ("--3", -9, 9, None),
        ("-", -9, 9, None),
        ("-\u00b2", -9, 9, None),
        ("9" * 15, 0, parse_number.MOST, 10**15 - 1),
        ("9" * 16, 0, 10**20, None),
    ],
)
def test_a_whole_number_is_within_its_bounds(text: str, least: int, most: int, number: int | None) -> None:
    assert parse_number.whole(text, least, most) == number


@pytest.mark.parametrize(
    ("text", "least", "most", "number"),
    [
        ("12", 0, 99, 12.0),
        ("1.5", 0, 99, 1.5),
        ("0.1000000000000000055511151231257827", 0, 1, 0.1),
        ("1.50", 0, 1.5, 1.5),
        ("1.51", 0, 1.5, None),
        ("-1.5", -2, 2, -1.5),
        ("-2.5", -2, 2, None),
    ],
)
def test_a_decimal_number_is_too(text: str, least: float, most: float, number: float | None) -> None:
    assert parse_number.decimal(text, least, most) == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("1.5h", 5400),
        ("0.25s", 0.25),
        ("1d", 86400),
        ("0s", 0),
        ("30", None),
        ("m", None),
        ("", None),
        ("30M", None),
        ("30ms", None),
        ("1h30m", None),
        ("\u00b2m", None),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float | None) -> None:
    assert parse_number.duration(text) == seconds


def test_a_long_text_is_quoted_in_part() -> None:
    assert parse_number.shown("soon") == "'soon'"
    assert len(parse_number.shown("9" * 5000)) < 50
