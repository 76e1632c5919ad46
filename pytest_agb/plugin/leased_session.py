"""A session that a fixture gave to tests, from its lease to the end of its scope."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from pytest_agb.client import AGBError
from pytest_agb.plugin import hook_calls, scopes
from pytest_agb.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.client import Session
    from pytest_agb.plugin.pytest_internals import Node
    from pytest_agb.pool.lease import Lease
    from pytest_agb.pool.pool import Pool

#: Of a node: the sessions that are leased until its scope ends.
_LEASED: pytest.StashKey[list[LeasedSession]] = pytest.StashKey()


class LeasedSession:
    """A leased session and the hooks around it."""

    def __init__(self, node: Node, pool: Pool, lease: Callable[[], Lease], *, first_test: str) -> None:
        """Lease a session until the scope of ``node`` ends.

        Args:
            node: What shares it.
            pool: Where it is given back.
            lease: Leases one, for whichever test is the current one then.
            first_test: Node ID of the test that asks for it. If it asks as it runs (`getfixturevalue`), it
                does not name our fixtures.

        Raises:
            AGBError: it can't be had.
        """
        self._node = node
        self._pool = pool
        self._lease_one = lease
        self._first_test = first_test
        self._prepared = False
        self._failed = ""
        #: Whether nobody may use the session any more; then only `renew` brings another.
        self._given_back = False
        self._lease = lease()
        self.settings = node.config.stash[SETTINGS]
        node.stash.setdefault(_LEASED, []).append(self)

    @property
    def session(self) -> Session:
        """The session."""
        return self._lease.session

    @property
    def age_seconds(self) -> float:
        """How old it is, at the most."""
        return self._pool.age_seconds(self._lease)

    def prepare(self) -> None:
        """Have the project prepare it, if it is new."""
        if self._lease.fresh:
            hook_calls.ready(self._node, self.session)
        self._prepared = True

    def failed(self, test: str, *, asks: bool) -> None:
        """``test`` has failed; ``asks`` says that it names one of our fixtures."""
        if asks or test == self._first_test:
            self._failed = self._failed or test

    def end(self) -> None:
        """Give it back, or leave it to the user."""
        from pytest_agb.client import AGBError  # brings httpx, which is there once a session is leased

        self._node.stash[_LEASED].remove(self)
        try:
            self._end()
        except AGBError as error:
            failed = f"AGB session {self.session.session_id} could not be given back: {error}"
            raise pytest.fail.Exception(failed, pytrace=False) from None

    def _end(self) -> None:
        usable = not self.expired() and not self.why_dead()
        if self._failed and usable and not self.session.released:
            self._pool.keep(self._lease, self._failed)
            return
        reusable = usable and self._prepared and self._reset()
        try:
            self._give_back(reusable=reusable)
        except AGBError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    def _give_back(self, *, reusable: bool = False) -> None:
        if not self._given_back:
            self._given_back = True
            self._pool.release(self._lease, reusable=reusable)

    def _reset(self) -> bool:
        if self.settings.reuse != "reset" or self.session.released:
            return self.settings.reuse == "always"
        failed = hook_calls.reset(self._node, self.session)
        if failed:
            message = f"{failed}\n{self.session!r} is deleted and not leased again"
            warnings.warn(pytest.PytestWarning(message), stacklevel=2)
        return not failed

    def expired(self) -> bool:
        """Whether it is past the service's maximum lifetime, or was and could not be replaced."""
        return self._given_back or self.age_seconds >= self.settings.max_lifetime

    def why_dead(self) -> str:
        """Why it can't be used any more, before its time; empty if it can."""
        return self._pool.why_dead(self._lease)

    def renew(self) -> None:
        """Replace it by a new one, for all who hold it, and have that prepared.

        If that fails at any step, the session remains `expired`, and the next test may try again.

        Raises:
            AGBError: there is none to be had.
        """
        # First, so that there is room for the other, and never two leases of which one has no owner.
        self._give_back()
        session, lease = self.session, self._lease_one()
        session.become(lease.session)
        lease.session = session
        self._lease = lease
        self._given_back, self._prepared, self._failed = False, False, ""
        try:
            self.prepare()
        except BaseException:
            self._give_back()
            raise


def of(item: pytest.Item) -> list[LeasedSession]:
    """The sessions that a test can use."""
    return scopes.shared_in(item, item.config.stash[SETTINGS].scope).stash.get(_LEASED, [])
