"""The sessions of one run on one host: leasing them, and deleting every one."""

from __future__ import annotations

from pytest_agb.pool.drain import Summary, drain, join
from pytest_agb.pool.pool import Lease, Pool

__all__ = ["Lease", "Pool", "Summary", "drain", "join"]
