"""What is known of the tests to come, told to the pool so that their sessions can be created ahead.

Tests of one kind (the same fixtures, marker arguments and image) ask for the same. What that is follows from
the markers where the fixtures are ours; where a conftest overrides them, or a hook changes parameters, the
first test of a kind tells for the others.
"""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

from pytest_agb.plugin import marker, scopes
from pytest_agb.plugin.params import session_params
from pytest_agb.plugin.pytest_internals import fixture_definitions, parameter
from pytest_agb.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_agb.client import CreateSessionParams
    from pytest_agb.plugin.pytest_internals import Node
    from pytest_agb.pool.pool import Pool

#: The fixtures by which a kind of tests is told from another, where a conftest overrides them.
_LADDER = ("agb_image", "agb_session_params", "agb_session")
_FORESEEN = frozenset({"agb_session"})
#: Where ours are defined; that module imports this one.
_OUR_FIXTURES = f"{__package__}.fixtures"


def uses_session(item: pytest.Item | None) -> bool:
    """Whether ``item`` is known to ask for ``agb_session``; another fixture may still do so on demand."""
    return scopes.names(item, _FORESEEN)


class Forecast:
    """The tests that a process has collected, as far as they will ask for sessions."""

    def __init__(self, items: Sequence[pytest.Item], scope: str) -> None:
        self._items = items
        self._scope = scope
        self._kinds: set[object] = set()
        self._pool: Pool | None = None
        # What is done before this process joins the run, which only a lease makes it do.
        self._done: list[str] = []

    def asks(self, item: pytest.Item | None, pool: Pool, params: CreateSessionParams) -> str:
        """``item`` is about to ask ``pool`` for ``params``; return its unit, empty if it was not foreseen.

        Raises:
            AGBError: the run's directory can't be had.
        """
        if item is None or not uses_session(item):
            return ""
        kind = self._kind(item)
        if self._pool is None:
            self._pool = pool
            self._expect_what_is_plain(pool)
            for unit in self._done:
                pool.done(unit)
            self._done.clear()
        if kind not in self._kinds:
            self._expect(pool, kind, params)
        return self._unit(item)

    def _expect_what_is_plain(self, pool: Pool) -> None:
        kinds: dict[object, pytest.Item] = {}
        for item in filter(uses_session, self._items):
            kinds.setdefault(self._kind(item), item)
        for kind, item in kinds.items():
            params = self._plain(item)
            if params is not None:
                self._expect(pool, kind, params)

    def _plain(self, item: pytest.Item) -> CreateSessionParams | None:
        """What ``item`` will ask for, if nothing but its markers and the settings decides that."""
        ours = all(definition.func.__module__ == _OUR_FIXTURES for definition in _ladder(item))
        if not ours or item.ihook.pytest_agb_session_params.get_hookimpls():
            return None
        settings = item.config.stash[SETTINGS]
        try:
            return session_params(item, item, _image(item) or settings.images[0], settings)
        except marker.MarkerError:  # an error in the test's setup
            return None

    def _expect(self, pool: Pool, kind: object, params: CreateSessionParams) -> None:
        self._kinds.add(kind)
        units = [
            (self._unit(item), position)
            for position, item in enumerate(self._items)
            if uses_session(item) and self._kind(item) == kind
        ]
        pool.expect(params, units)

    def begins(self, next_item: pytest.Item | None) -> None:
        """A test is about to run, and ``next_item`` will after it."""
        if self._pool is not None and next_item is not None and uses_session(next_item):
            self._pool.soon(self._unit(next_item))

    def ends(self, item: pytest.Item, next_item: pytest.Item | None) -> None:
        """``item`` has run, whether it asked for a session or was skipped."""
        unit = self._unit(item)
        if next_item is not None and uses_session(next_item) and self._unit(next_item) == unit:
            return
        if self._pool is None:
            self._done.append(unit)
        else:
            self._pool.done(unit)

    def _unit(self, item: pytest.Item) -> str:
        return f"{self._node(item).nodeid}@{_image(item)}"

    def _node(self, item: pytest.Item) -> Node:
        return scopes.shared_in(item, self._scope)

    def _kind(self, item: pytest.Item) -> object:
        """What tests that ask for the same have in common."""
        try:
            marked = dumps(marker.arguments(self._node(item)), sort_keys=True)
        except marker.MarkerError as error:  # an error in the test's setup
            marked = str(error)
        return tuple(map(id, _ladder(item))), _image(item), marked


def _ladder(item: pytest.Item) -> list[Any]:
    """The definitions of the fixtures that decide what ``item`` asks for."""
    definitions = fixture_definitions(item)
    return [definitions[name][-1] for name in _LADDER if definitions.get(name)]


def _image(item: pytest.Item) -> str:
    return str(parameter(item, "agb_image") or "")
