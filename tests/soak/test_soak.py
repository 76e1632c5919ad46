"""Whatever workers, keeper and service do, in whatever order: no session is leased twice, none is beyond the
ceiling, no foreign one is touched, and in the end nothing is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from soak.simulation import Simulation

#: Steps in all; more by the environment: `SOAK_STEPS=1000000 pytest tests/soak -n 2`.
STEPS = int(os.environ.get("SOAK_STEPS", "8000"))
SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_soak(seed: int, tmp_path: Path) -> None:
    simulation = Simulation(seed, tmp_path)
    try:
        simulation.run(STEPS // len(SEEDS))
    except BaseException:
        print(f"seed {seed}, step {simulation.steps}; what happened last:", *simulation.events, sep="\n  ")
        raise
