"""How the fixtures come by sessions: alone, shared in a package, or any number of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_agb import labels as label_rules
from pytest_agb.client import AGBError, InvalidRequestError
from pytest_agb.plugin import hook_calls, per_test, scopes
from pytest_agb.plugin.joining import naming_patches
from pytest_agb.plugin.leased_session import LeasedSession
from pytest_agb.plugin.report.wait_line import WaitLine
from pytest_agb.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_agb.client import CreateSessionParams, Session
    from pytest_agb.plugin.pytest_internals import Node
    from pytest_agb.pool.lease import Lease
    from pytest_agb.pool.pool import Pool

#: The sessions that tests of a package share, each with what it was asked for by.
_SHARED: pytest.StashKey[list[tuple[CreateSessionParams, Session]]] = pytest.StashKey()


class SessionFactory(Protocol):
    """What ``agb_session_factory`` gives."""

    def __call__(
        self,
        *,
        image: str | None = None,
        labels: Mapping[str, str] | None = None,
        idle_timeout: int | None = None,
        policy_id: str | None = None,
    ) -> Session:
        """Create a session."""
        ...


def lease_or_share(request: pytest.FixtureRequest, pool: Pool, params: CreateSessionParams) -> Session:
    """Lease a session until the fixture's scope ends, or take the one that tests of its package share.

    Raises:
        AGBError: there is none to be had.
    """
    package = _package(request)
    shared = package.stash.setdefault(_SHARED, []) if package else []
    for asked_for, session in shared:
        if asked_for == params:
            return session
    session = _lease(request, pool, params, foreseen=True)
    shared.append((params, session))
    return session


def factory(request: pytest.FixtureRequest, pool: Pool, params: CreateSessionParams) -> SessionFactory:
    """Make what creates sessions by ``params``, in as far as a call does not say otherwise."""

    def create(
        *,
        image: str | None = None,
        labels: Mapping[str, str] | None = None,
        idle_timeout: int | None = None,
        policy_id: str | None = None,
    ) -> Session:
        __tracebackhide__ = True  # the line to look at is the test's
        wrong = None if labels is None else label_rules.invalid(labels)
        if wrong:
            raise InvalidRequestError(f"agb_session_factory: {wrong}")
        given: dict[str, Any] = {
            "image_id": image,
            "idle_release_timeout": idle_timeout,
            "policy_id": policy_id,
        }
        merged = replace(
            params,
            labels={**(params.labels or {}), **(labels or {})},
            **{name: value for name, value in given.items() if value is not None},
        )
        try:
            return _lease(request, pool, merged)
        except AGBError as error:
            raise error.with_traceback(None) from None

    return create


def _package(request: pytest.FixtureRequest) -> Node | None:
    """What a session is shared in and ends with, where that is not pytest's own scope."""
    scope = request.config.stash[SETTINGS].scope
    return scopes.shared_in(request.node, scope) if scope == "package" else None


def _lease(
    request: pytest.FixtureRequest, pool: Pool, params: CreateSessionParams, *, foreseen: bool = False
) -> Session:
    """Lease a session until the scope ends, with the project's hooks around it.

    ``foreseen`` says that it is what tests to come will ask for as well, as `forecast` sees it.
    """
    node = _package(request) or request.node
    params = hook_calls.params(node, params)
    tests = per_test.of(request.config)
    unit = tests.forecast(request.session).asks(tests.current, pool, params) if foreseen else ""

    def lease() -> Lease:
        # A renewal is for the sake of another test.
        with naming_patches(pool), WaitLine(request.config, tests.current, node.nodeid) as waiting:
            return pool.acquire(params, user=waiting.test, unit=unit, on_wait=waiting.show)

    first_test = tests.current.nodeid if tests.current else ""
    leased = LeasedSession(node, pool, lease, first_test=first_test)
    (_package(request) or request).addfinalizer(leased.end)
    leased.prepare()
    return leased.session
