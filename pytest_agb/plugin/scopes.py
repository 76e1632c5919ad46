"""Which tests share a session, for each scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin.pytest_internals import fixture_names

if TYPE_CHECKING:
    from pytest_agb.plugin.pytest_internals import Node

#: The fixtures that lease sessions.
LEASING = frozenset({"agb_session", "agb_session_factory"})
#: The fixtures whose value follows the marker.
MARKED = LEASING | {"agb_session_params"}
#: What gives sessions. To override a rung below is a project's way to change what they are.
GIVING = LEASING | {"agb"}
#: All.
OURS = MARKED | {"agb", "agb_image", "_agb_pool"}

_COLLECTORS: dict[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "package": pytest.Package,
    "session": pytest.Session,
}


def shared_in(node: Node, scope: str) -> Node:
    """What a session that ``node`` asks for is shared in and ends with; ``node`` is a test, or wider.

    A test outside any class has a session of its own, as it has a value of its own of any fixture of that
    scope. Tests outside any package share one, as do those of a package; a package in a package is its own.
    """
    if scope == "function":
        return node
    return node.getparent(_COLLECTORS[scope]) or (node.session if scope == "package" else node)


def names(item: pytest.Item | None, fixtures: frozenset[str]) -> bool:
    """Whether ``item`` is known to ask for one of ``fixtures``; it may still ask for others as it runs."""
    return not fixtures.isdisjoint(fixture_names(item))
