"""Whatever workers, keeper and service do, in whatever order: no session is leased twice, none is beyond the
ceiling, no foreign one is touched, and in the end nothing is left."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from soak.shrinking import shrink
from soak.simulation import Run
from soak.sometimes import Seen

#: Steps in all; more by the environment: `SOAK_STEPS=1000000 pytest tests/soak -n 2`.
STEPS = int(os.environ.get("SOAK_STEPS", "8000"))
SEEDS = range(4)
#: As many steps of one seed must have been everywhere.
ENOUGH_STEPS = 100_000


@pytest.mark.parametrize("seed", SEEDS)
def test_soak(seed: int, tmp_path: Path) -> None:
    seen, steps = Seen(), 0
    for number in itertools.count():
        if steps >= STEPS // len(SEEDS):
            break
        seen.begin()
        run = Run(f"{seed}-{number}", tmp_path, seen)
        try:
            run.play()
        except Exception:
            short = shrink(f"{seed}-{number}")
            print(f"run {seed}-{number} fails, after {run.steps} steps of it. What happened last:")
            print(*run.events, sep="\n  ")
            print(f"{len(short.acts)} of its {len(run.acts)} acts are enough:", *short.acts, sep="\n  ")
            print("What happened last in those:", *short.events, sep="\n  ")
            raise
        finally:
            run.close()
        steps += run.steps
    print(f"{steps} steps, {number} runs, no leak, no foreign deletion;", dict(sorted(seen.items())))
    if steps >= ENOUGH_STEPS:
        assert not seen.missing(), "the simulation never got there"
