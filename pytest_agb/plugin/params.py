"""What a session is created with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.plugin import marker, scopes

if TYPE_CHECKING:
    import pytest

    from pytest_agb.client import CreateSessionParams
    from pytest_agb.plugin.pytest_internals import Node
    from pytest_agb.settings import Settings


def session_params(node: Node, item: pytest.Item, image: str, settings: Settings) -> CreateSessionParams:
    """What a session that ``node`` asks for is created with, by markers and settings.

    The markers that count are those of all who share it. ``item`` is the test that it is for, and ``image``
    what that test's `agb_image` is.

    Raises:
        MarkerError: a marker's argument can't be used.
    """
    from pytest_agb.client import CreateSessionParams  # brings httpx

    marked = marker.arguments(scopes.shared_in(node, settings.scope))
    if marker.yields_to_parameter(item):
        marked.pop("image", None)
    return CreateSessionParams(
        image_id=marked.get("image", image),
        labels={**settings.labels, **marked.get("labels", {})},
        idle_release_timeout=marked.get("idle_timeout", settings.idle_timeout),
        policy_id=marked.get("policy_id"),
    )
