"""Numbers in an answer, sent as JSON numbers or as text, make no call fail that has succeeded."""

from __future__ import annotations

import json

import pytest

from pytest_agb.client.api import responses
from pytest_agb.client.api.json_values import seconds_of, whole_of
from pytest_agb.client.api.messages import Answer

#: JSON as Python reads it: what other languages' writers make of infinity and the like, too.
NO_NUMBER = ["null", "Infinity", "-Infinity", "NaN", "1e999", '"\\u00b2"', '"1_0"', '"soon"', "[]", "{}"]


@pytest.mark.parametrize("text", [*NO_NUMBER, "1.5"])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    value = json.loads(text)

    assert whole_of(value) is None
    assert responses.count(Answer(200, {"count": value}), "count", 7) == 7


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("-3", -3), ("3.0", 3), ('"3"', 3), ('"-3"', -3), ("9" * 400, int("9" * 400))],
)
def test_a_whole_number_may_come_as_text(text: str, number: int) -> None:
    assert whole_of(json.loads(text)) == number


@pytest.mark.parametrize(
    ("text", "seconds"), [*((text, 0.0) for text in NO_NUMBER), ("9" * 400, 0.0), ("0.25", 0.25), ("3", 3.0)]
)
def test_seconds_are_what_a_clock_can_show(text: str, seconds: float) -> None:
    assert seconds_of(json.loads(text)) == seconds
