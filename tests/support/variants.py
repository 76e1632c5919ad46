"""Variants of a promise, of which the default run takes some: each way once, not each with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import pytest

#: Of promises that hold with and without xdist, in each scope: one way by default.
WORKERS_AND_SCOPES = pytest.mark.parametrize(
    ("workers", "scope"),
    [
        pytest.param([], "function", id="plain-function"),
        pytest.param(["-n2"], "session", id="xdist-session", marks=pytest.mark.slow),
        pytest.param([], "session", id="plain-session", marks=pytest.mark.slow),
        pytest.param(["-n2"], "function", id="xdist-function", marks=pytest.mark.slow),
    ],
)


def slow_but(default: Callable[..., bool], *values: Iterable[Any]) -> list[Any]:
    """Each combination of ``values`` as a parameter, marked slow where ``default`` says no to it.

    Args:
        default: Called with a combination's values.
        values: What to combine; a mapping stands for its keys.
    """
    return [
        pytest.param(*combination, marks=() if default(*combination) else pytest.mark.slow)
        for combination in product(*values)
    ]
