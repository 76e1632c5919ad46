"""A session that a fixture gave to tests, from its lease to the end of its scope."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin.stash import LEASED_SESSIONS, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pluggy
    from _pytest.nodes import Node

    from pytest_agb.client import CreateSessionParams, Session
    from pytest_agb.pool.lease import Lease
    from pytest_agb.pool.pool import Pool

#: The fixtures whose sessions are held.
_FIXTURES = frozenset({"agb_session", "agb_session_factory"})


class LeasedSession:
    """A leased session and the hooks around it."""

    def __init__(self, node: Node, pool: Pool, lease: Callable[[], Lease]) -> None:
        """Lease a session until the scope of ``node`` ends.

        Raises:
            AGBError: it can't be had.
        """
        self._node = node
        self._config = node.config
        self._pool = pool
        self._lease_one = lease
        #: A test that asks as it runs (`getfixturevalue`) does not name our fixtures.
        self._first_test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        self._prepared = False
        self._failed = ""
        self._lease = lease()
        node.stash.setdefault(LEASED_SESSIONS, []).append(self)

    @property
    def session(self) -> Session:
        """The session."""
        return self._lease.session

    @property
    def params(self) -> CreateSessionParams:
        """What it was leased by."""
        return self._lease.params

    def prepare(self) -> None:
        """Have the project prepare it, if it is new."""
        if self._lease.fresh:
            self._node.ihook.pytest_agb_session_ready(config=self._config, session=self.session)
        self._prepared = True

    def failed(self, test: str, *, asks: bool) -> None:
        """``test`` has failed; ``asks`` says that it names one of our fixtures."""
        if asks or test == self._first_test:
            self._failed = self._failed or test

    def end(self) -> None:
        """Give it back, or leave it to the user."""
        self._node.stash[LEASED_SESSIONS].remove(self)
        if self._failed and not self.session.released and not self.expired():
            self._pool.keep(self._lease, self._failed)
        else:
            self._pool.release(self._lease, reusable=self._prepared and self._reset())

    def _reset(self) -> bool:
        reuse = self._config.stash[SETTINGS].reuse
        if reuse != "reset" or self.session.released:
            return reuse == "always"
        try:
            self._node.ihook.pytest_agb_session_reset(config=self._config, session=self.session)
        except Exception as error:
            warnings.warn(
                pytest.PytestWarning(
                    f"{self.session!r} is deleted and not leased again: resetting it failed: {error!r}"
                ),
                stacklevel=2,
            )
            return False
        return True

    def expired(self) -> str | None:
        """Say that it is past the service's maximum lifetime, if it is."""
        settings = self._config.stash[SETTINGS]
        age = self._pool.age_seconds(self._lease)
        if age < settings.max_lifetime:
            return None
        return (
            f"AGB session {self.session.session_id} is {age:.0f} s old, past the maximum lifetime of "
            f"{settings.max_lifetime} s (agb_max_lifetime): the service has ended it or will. Use a narrower "
            "--agb-scope, so that sessions live shorter, or set agb_renew = true, which replaces it by a new "
            "one without what tests and fixtures stored in it."
        )

    def renew(self) -> None:
        """Replace it by a new one, for all who hold it, and have that prepared.

        Raises:
            AGBError: there is none to be had.
        """
        old, new = self._lease, self._lease_one()
        old.session.mark_released()
        held_by_tests = old.session
        self._pool.release(old)
        held_by_tests.become(new.session)
        new.session = held_by_tests
        self._lease = new
        self._failed = ""
        self.prepare()


def look_at_age(item: pytest.Item) -> None:
    """Fail the setup of a test whose session is past its lifetime, or renew that session."""
    from pytest_agb.client import AGBError

    if not _FIXTURES.intersection(getattr(item, "fixturenames", ())):
        return
    for held in _of(item):
        reason = held.expired()
        if reason is None:
            continue
        if not item.config.stash[SETTINGS].renew:
            pytest.fail(reason, pytrace=False)
        try:
            held.renew()
        except AGBError as error:
            raise pytest.fail.Exception(f"no AGB session: {error}", pytrace=False) from None


def package_of(node: Node) -> Node:
    """The node that a session is shared in and ends with, with --agb-scope=package.

    It is the package of the test's module, or the whole run outside of any.
    """
    return node.getparent(pytest.Package) or node.session


def _of(item: pytest.Item) -> list[LeasedSession]:
    """The sessions that a test can use."""
    by_package = item.config.stash[SETTINGS].scope == "package"
    nodes = [package_of(item)] if by_package else item.listchain()
    return [held for node in nodes for held in node.stash.get(LEASED_SESSIONS, [])]


class Witness:
    """A plugin that tells sessions of the tests that failed, where they are kept for that."""

    @pytest.hookimpl(hookwrapper=True)  # not a new-style wrapper: pytest-rerunfailures is an old-style one
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pluggy.Result[pytest.TestReport]]:
        """Note that a test has failed. Its teardown does not count: its own session has ended with that."""
        outcome = yield
        report = outcome.get_result()
        if report.failed and report.when != "teardown":
            asks = not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
            for held in _of(item):
                held.failed(item.nodeid, asks=asks)
