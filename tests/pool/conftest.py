"""A stand-in service, and the pools of one run on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.deadline import eventually
from support.pool_runs import finish
from support.standin import StandIn

from pytest_agb.pool.pool import Pool
from pytest_agb.run import run_directory
from pytest_agb.settings import Settings


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def settings(service: StandIn, temp_directory: Path) -> Settings:
    return Settings(
        backend="cloud",
        run_id="run-00000001",
        images=("agb-code-space-1",),
        labels={},
        scope="function",
        idle_timeout=300,
        local_isolation="auto",
        endpoint=service.endpoint,
        timeout_seconds=10.0,
        api_key=service.api_key,
    )


@pytest.fixture
def pools(settings: Settings) -> Iterator[Callable[[], Pool]]:
    opened: list[Pool] = []

    def make() -> Pool:
        opened.append(Pool(settings))
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()
    finish(settings)
    eventually(
        lambda: not run_directory.path(settings.run_id).exists(), "the keeper has left, with the directory"
    )
