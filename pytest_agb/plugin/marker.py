"""The marker ``agb``: what it takes, and where it counts.

A session of a wide scope is shared, so it can only follow markers of that scope: one on a single test would
be ignored silently, which is an error instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_agb.plugin import scopes
from pytest_agb.plugin.pytest_internals import fixture_names

if TYPE_CHECKING:
    import pytest

    from pytest_agb.plugin.pytest_internals import Node

_ARGUMENTS = ("image", "labels", "idle_timeout", "policy_id")


class MarkerError(ValueError):
    """A marker's arguments can't be used; the message says which and why."""


def arguments(node: Node) -> dict[str, Any]:
    """Merge the arguments of the markers that count for ``node``, the closest over the others.

    Labels are merged key by key.

    Raises:
        MarkerError: an argument is unknown, or its value can't be used.
    """
    merged: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for mark in reversed(list(node.iter_markers("agb"))):  # the closest comes last and wins
        _check(mark)
        merged.update({name: value for name, value in mark.kwargs.items() if value is not None})
        labels.update(mark.kwargs.get("labels") or {})
    if labels:
        merged["labels"] = labels
    return merged


def names_image(node: Node) -> bool:
    """Whether a marker that counts for ``node`` names an image."""
    return any(mark.kwargs.get("image") is not None for mark in node.iter_markers("agb"))


def yields_to_parameter(item: pytest.Item) -> bool:
    """Whether a ``parametrize`` of the test names its image: that wins over a marker's."""
    for mark in item.iter_markers("parametrize"):
        names = mark.kwargs.get("argnames", mark.args[0] if mark.args else ())
        if "agb_image" in (names.replace(",", " ").split() if isinstance(names, str) else names):
            return True
    return False


def ignored(item: pytest.Item, scope: str) -> str | None:
    """Say which marker of ``item`` a session of ``scope`` would ignore, or return ``None`` if none is."""
    if item.get_closest_marker("agb") is None:
        return None
    used = sorted(scopes.MARKED.intersection(fixture_names(item)))
    shared_in = scopes.shared_in(item, scope)
    counts = set(shared_in.listchain())
    if not used or all(node in counts for node, _ in item.iter_markers_with_node("agb")):
        return None
    # Nobody can mark the run.
    move = "" if shared_in is item.session else f"Move the marker to the {scope}, or use "
    return (
        f"this test's agb marker would be ignored: {used[0]} has scope {scope!r} and is shared "
        f"by tests without it. {move or 'Use '}--agb-scope=function or agb_session_factory(image=...)."
    )


def _check(mark: pytest.Mark) -> None:
    known = ", ".join(_ARGUMENTS)
    if mark.args:
        raise MarkerError(f"agb marker: {mark.args[0]!r} has no name; the marker takes only {known}, by name")
    for name, value in mark.kwargs.items():
        if name not in _ARGUMENTS:
            raise MarkerError(f"agb marker: unknown argument {name!r}; it takes {known}")
        if value is None:
            continue
        if name in ("image", "policy_id") and not (isinstance(value, str) and value.strip()):
            raise MarkerError(f"agb marker: {name}={value!r} must be a non-empty string")
        if name == "idle_timeout" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise MarkerError(
                f"agb marker: idle_timeout={value!r} must be a positive number of whole seconds"
            )
        if name == "labels":
            from pytest_agb import labels as label_rules  # only where labels are given: start-up time

            reason = label_rules.invalid(value) or label_rules.refused(value, on_ours=True)
            if reason:
                raise MarkerError(f"agb marker: {reason}")
