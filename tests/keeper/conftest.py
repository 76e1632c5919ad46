"""A keeper in the test's own process, see `support.keeper_bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.keeper_bench import Bench

from pytest_agb.settings import Settings


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Callable[..., Bench]]:
    """Makes one: ``bench(max_sessions=1, lost_seconds=2.0)``, by settings and by durations of the janitor."""
    made: list[Bench] = []

    def make(**given: Any) -> Bench:
        ours = {name: value for name, value in given.items() if name in Settings._fields}
        durations = {name: value for name, value in given.items() if name not in Settings._fields}
        changed = settings._replace(**ours)
        made.append(Bench(tmp_path / changed.run_id, changed, **durations))
        return made[-1]

    yield make
    for each in made:
        each.close()
