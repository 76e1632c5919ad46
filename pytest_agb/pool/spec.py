"""What a session was asked to be like, as one text: leases with the same text can have the same session."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb.client import CreateSessionParams
from pytest_agb.settings import CLOCK_SKEW_SECONDS

if TYPE_CHECKING:
    from pytest_agb.settings import Settings


def write(params: CreateSessionParams) -> str:
    """Write down all that makes a session of ``params`` different from others."""
    labels = dict(sorted((params.labels or {}).items()))
    return json.dumps([params.image_id, labels, params.idle_timeout_seconds, params.policy_id])


def read(text: str) -> CreateSessionParams:
    """Undo `write`."""
    image, labels, idle_timeout, policy = json.loads(text)
    return CreateSessionParams(image, labels, idle_timeout, policy)


def image(text: str) -> str:
    """The image that a spec names."""
    return str(json.loads(text)[0])


def expires_at(settings: Settings, created_at: float) -> int:
    """Unix seconds after which nobody can still be using a session."""
    return int(created_at) + settings.max_lifetime + CLOCK_SKEW_SECONDS


def reserved_labels(settings: Settings, slot: str, expires: int) -> dict[str, str]:
    """The labels by which the session of ``slot`` is found, whatever happens."""
    reserved = {
        label_rules.CREATED_BY: label_rules.CREATED_BY_US,
        label_rules.RUN: settings.run_id,
        label_rules.SLOT: slot,
        label_rules.EXPIRES: str(expires),
    }
    if settings.ci_run:
        reserved[label_rules.CI_RUN] = settings.ci_run
    return reserved
