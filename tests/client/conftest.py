"""A client of the stand-in whose waiting takes no time, and a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.standin import IMAGE, StandIn
from support.standin_clock import Sleeps

from pytest_agb import AGB, CreateSessionParams, Session

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def agb(service: StandIn, sleeps: Sleeps) -> Iterator[AGB]:
    with AGB(service.api_key, service.endpoint, timeout=10, sleep=sleeps, chance=lambda: 1.0) as agb:
        yield agb


@pytest.fixture
def session(agb: AGB) -> Session:
    session = agb.create(CreateSessionParams(IMAGE)).check().session
    assert session is not None
    return session
