"""The clock of a run: it reads like Unix seconds, and goes on evenly whatever becomes of the wall clock.

All processes of the run on a host read the same. It goes on while a laptop sleeps. After a reboot, which no
process of the run survives, whoever takes the run over goes by the wall clock of then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_agb import real
from pytest_agb.store.facts import Fact, Facts
from pytest_agb.wall_clock import wall_seconds

if TYPE_CHECKING:
    from collections.abc import Callable


def of(facts: Facts) -> Callable[[], float]:
    """The run's clock, set by the first process that asks."""
    began = wall_seconds() - real.boot_seconds()
    boot, stored = json.loads(facts.settle(Fact.CLOCK, json.dumps([real.boot_id(), began])))
    offset = stored if boot == real.boot_id() else began
    return lambda: real.boot_seconds() + offset
