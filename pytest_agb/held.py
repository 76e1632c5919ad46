"""A session that a fixture gave to tests, from its lease to the end of its scope."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from pytest_agb.stash import HELD, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pluggy
    from _pytest.nodes import Node

    from pytest_agb.client import CreateSessionParams, Session
    from pytest_agb.pool.pool import Lease, Pool

#: The fixtures whose sessions are held.
_FIXTURES = frozenset({"agb_session", "agb_session_factory"})


class Held:
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
        self._prepared = False
        self._failed = ""
        self._lease = lease()
        node.stash.setdefault(HELD, []).append(self)

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

    def failed(self, test: str) -> None:
        """``test``, which can use it, has failed."""
        self._failed = self._failed or test

    def end(self) -> None:
        """Give it back, or leave it to the user."""
        self._node.stash[HELD].remove(self)
        if self._failed and not self.session.released:
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
    for node in item.listchain():
        for held in node.stash.get(HELD, []):
            reason = held.expired()
            if reason is None:
                continue
            if not item.config.stash[SETTINGS].renew:
                pytest.fail(reason, pytrace=False)
            try:
                held.renew()
            except AGBError as error:
                raise pytest.fail.Exception(f"no AGB session: {error}", pytrace=False) from None


class Witness:
    """A plugin that tells sessions of the tests that failed, where they are kept for that."""

    @pytest.hookimpl(hookwrapper=True)  # not a new-style wrapper: pytest-rerunfailures is an old-style one
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pluggy.Result[pytest.TestReport]]:
        """Note that a test has failed. A failed teardown comes too late for sessions that end with it."""
        outcome = yield
        if not outcome.get_result().failed:
            return
        asks = not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        for node in item.listchain():
            if asks or node is item:
                for held in node.stash.get(HELD, []):
                    held.failed(item.nodeid)
