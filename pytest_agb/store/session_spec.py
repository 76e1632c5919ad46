"""What a session was asked to be like, as one text: leases with the same text can have the same session."""

from __future__ import annotations

from json import dumps, loads

from pytest_agb.client import CreateSessionParams


def write(params: CreateSessionParams) -> str:
    """Write down all that makes a session of ``params`` different from others."""
    labels = dict(sorted((params.labels or {}).items()))
    return dumps([params.image_id, labels, params.idle_timeout_seconds, params.policy_id])


def read(text: str) -> CreateSessionParams:
    """Undo `write`."""
    image, labels, idle_timeout, policy = loads(text)
    return CreateSessionParams(image, labels, idle_timeout, policy)


def image(text: str) -> str:
    """The image that a spec names."""
    return str(loads(text)[0])
