"""The sessions of one run on one host: leasing them, and deleting every one."""

from __future__ import annotations

from pytest_agb.pool.pool import Lease, Pool
from pytest_agb.pool.tidy import tidy_up

__all__ = ["Lease", "Pool", "tidy_up"]
