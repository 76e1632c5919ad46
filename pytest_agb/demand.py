"""What is known of the tests to come, told to the pool so that their sessions can be created ahead.

The fixtures can be overridden, so what a test will ask for is only known once it asks. But tests of one kind
(the same fixtures, marker arguments and image) ask for the same: the first of a kind tells for the others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb import marker
from pytest_agb.stash import DEMAND, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_agb.client import CreateSessionParams
    from pytest_agb.pool import Pool

#: The fixtures by which a kind of tests is told from another, where a conftest overrides them.
_LADDER = ("agb_image", "agb_session_params", "agb_session")

_SCOPE_NODES: dict[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}


def uses_session(item: pytest.Item | None) -> bool:
    """Whether ``item`` is known to ask for ``agb_session``; another fixture may still do so on demand."""
    return item is not None and "agb_session" in getattr(item, "fixturenames", ())


class Demand:
    """The tests that a process has collected, as far as they will ask for sessions."""

    def __init__(self, items: Sequence[pytest.Item], scope: str) -> None:
        self._items = items
        self._scope = scope
        self._kinds: set[object] = set()
        self._pool: Pool | None = None
        # What is done before this process joins the run, which only a lease makes it do.
        self._done: list[str] = []
        #: The test that runs now.
        self.current: pytest.Item | None = None

    def asks(self, pool: Pool, params: CreateSessionParams) -> str:
        """The current test is about to ask ``pool`` for ``params``; return its unit.

        Raises:
            AGBError: the run's directory can't be had.
        """
        item = self.current
        if item is None:
            return ""
        self._pool = pool
        kind = self._kind(item)
        if kind not in self._kinds:
            self._kinds.add(kind)
            others = [
                (self._unit(other), position)
                for position, other in enumerate(self._items)
                if uses_session(other) and self._kind(other) == kind
            ]
            pool.expect(params, others)
            for unit in self._done:
                pool.done(unit)
            self._done.clear()
        return self._unit(item)

    def begins(self, item: pytest.Item, next_item: pytest.Item | None) -> None:
        """``item`` is about to run, and ``next_item`` will after it."""
        self.current = item
        if self._pool is not None and next_item is not None and uses_session(next_item):
            self._pool.soon(self._unit(next_item))

    def ends(self, item: pytest.Item, next_item: pytest.Item | None) -> None:
        """``item`` has run, whether it asked for a session or was skipped."""
        self.current = None
        unit = self._unit(item)
        if next_item is not None and uses_session(next_item) and self._unit(next_item) == unit:
            return
        if self._pool is None:
            self._done.append(unit)
        else:
            self._pool.done(unit)

    def _unit(self, item: pytest.Item) -> str:
        """What shares a session with ``item``: the test alone, or all of its class, module, package, run."""
        node: Any = None
        if self._scope != "function":
            node = item.getparent(_SCOPE_NODES[self._scope])
        return f"{(node or item).nodeid}@{_image(item)}"

    def _kind(self, item: pytest.Item) -> object:
        """What tests that ask for the same have in common."""
        definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        in_force = tuple(id(definitions[name][-1]) for name in _LADDER if definitions.get(name))
        try:
            marked = json.dumps(marker.arguments(item), sort_keys=True)
        except marker.MarkerError as error:  # an error in the test's setup
            marked = str(error)
        return in_force, _image(item), marked


def of(session: pytest.Session) -> Demand:
    """The demand of this process, made when it is first asked for."""
    stash = session.config.stash
    if DEMAND not in stash:
        stash[DEMAND] = Demand(session.items, stash[SETTINGS].scope)
    return stash[DEMAND]


def _image(item: pytest.Item) -> str:
    return str(getattr(getattr(item, "callspec", None), "params", {}).get("agb_image", ""))
