"""`--agb-keep-failed`: the sessions of a test that fails learn of it, so that they are left to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin import leased_session, scopes

if TYPE_CHECKING:
    from collections.abc import Generator

    import pluggy


class KeepFailed:
    """A plugin of runs in which that is asked for."""

    @pytest.hookimpl(hookwrapper=True)  # not a new-style wrapper: pytest-rerunfailures is an old-style one
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pluggy.Result[pytest.TestReport]]:
        """Note that a test has failed. Its teardown does not count: its own session has ended with that."""
        outcome = yield
        report = outcome.get_result()
        if report.failed and report.when != "teardown":
            asks = scopes.names(item, scopes.LEASING)
            for leased in leased_session.of(item):
                leased.failed(item.nodeid, asks=asks)
