"""The tests to come, in their order."""

from __future__ import annotations

from support.tables import ask

from pytest_agb.store.upcoming import Upcoming
from pytest_agb.store.waiters import Waiters


def test_units_to_come_in_their_order(units: Upcoming) -> None:
    units.expect("x", [("a", 0), ("c", 2), ("e", 4)])
    units.expect("y", [("b", 1), ("d", 3)])
    assert units.specs(9) == ["x", "y", "x", "y", "x"]
    assert units.specs(2) == ["x", "y"]

    units.soon("d")
    assert units.specs(9) == ["y", "x", "y", "x", "x"]
    units.done("a")
    units.done("never heard of")
    assert units.specs(9) == ["y", "y", "x", "x"]


def test_several_workers_expect_the_same_units(units: Upcoming, leases: Waiters) -> None:
    ask(leases, unit="a")
    units.expect("x", [("a", 0), ("b", 1)])
    units.expect("x", [("a", 0), ("b", 1)])

    assert units.specs(9) == ["x"]
