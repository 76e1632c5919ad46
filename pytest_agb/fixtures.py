"""The fixtures. Each is a thin skin over the pool; none creates or deletes a session itself.

``agb_image`` → ``agb_session_params`` → ``agb_session``: each rung can be overridden in a conftest.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb import labels as label_rules
from pytest_agb import marker
from pytest_agb.stash import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    from _pytest.nodes import Node

    from pytest_agb.client import AGB, CreateSessionParams, Session
    from pytest_agb.pool.pool import Lease, Pool

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


#: The sessions that tests of a package share, each with what it was asked for by.
_SHARED = pytest.StashKey["list[tuple[CreateSessionParams, Session]]"]()


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    """The configured scope; pytest asks when it collects our fixtures.

    Package scope is ours to keep, see `_package`: pytest takes a plugin's fixture to belong to no package.
    """
    scope = config.stash[SETTINGS].scope
    return "module" if scope == "package" else scope


@pytest.fixture(scope="session")
def _agb_pool(pytestconfig: pytest.Config) -> Iterator[Pool]:
    """This process's part of the run's pool. When it is closed, the keeper deletes what is left of it."""
    from pytest_agb.pool.pool import Pool  # a run that asks for no session does not pay for httpx
    from pytest_agb.signals import as_interrupts

    pool = Pool(pytestconfig.stash[SETTINGS], role=os.environ.get("PYTEST_XDIST_WORKER", "pytest"))
    try:
        with as_interrupts():
            yield pool
    finally:
        pool.close()


@pytest.fixture(scope="session")
def agb_image(request: pytest.FixtureRequest) -> str:
    """Image ID that sessions boot from: the one given by --agb-image. Override it in a conftest."""
    image: str = getattr(request, "param", request.config.stash[SETTINGS].images[0])
    return image


@pytest.fixture(scope=_scope)
def agb_session_params(request: pytest.FixtureRequest, agb_image: str) -> CreateSessionParams:
    """What a session is created with: image, labels and idle timeout, by marker, command line and ini file.

    Override it in a conftest to change them for a part of the suite.
    """
    from pytest_agb import demand

    try:
        return demand.session_params(request.node, agb_image, request.config.stash[SETTINGS])
    except marker.MarkerError as error:
        raise _failure(str(error)) from None


@pytest.fixture(scope=_scope)
def agb_session(
    request: pytest.FixtureRequest, _agb_pool: Pool, agb_session_params: CreateSessionParams
) -> Session:
    """An AGB session: an isolated sandbox that runs code, commands and file operations.

    It is the test's alone until the scope ends (--agb-scope; by default, with the test), new and then deleted
    unless --agb-reuse says otherwise.
    """
    from pytest_agb.client import AGBError

    package = _package(request)
    shared = package.stash.setdefault(_SHARED, []) if package else []
    for params, session in shared:
        if params == agb_session_params:
            return session
    try:
        session = _lease(request, _agb_pool, agb_session_params, foreseen=True)
    except AGBError as error:
        raise _failure(f"no AGB session: {error}") from None
    shared.append((agb_session_params, session))
    return session


@pytest.fixture(scope=_scope)
def agb_session_factory(
    request: pytest.FixtureRequest, _agb_pool: Pool, agb_session_params: CreateSessionParams
) -> SessionFactory:
    """Call it for any number of sessions: agb_session_factory(image=..., labels=...).

    It takes idle_timeout= and policy_id= too. What is not given is as for agb_session; labels are merged over
    those. All sessions are deleted when the scope ends.
    """
    from dataclasses import replace

    from pytest_agb.client import AGBError, InvalidRequestError

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
        params = replace(
            agb_session_params,
            labels={**(agb_session_params.labels or {}), **(labels or {})},
            **{name: value for name, value in given.items() if value is not None},
        )
        try:
            return _lease(request, _agb_pool, params)
        except AGBError as error:
            raise error.with_traceback(None) from None

    return create


@pytest.fixture(scope="session")
def agb(_agb_pool: Pool) -> AGB:
    """A client for the run's backend; what it creates has the run's labels and is deleted at the end."""
    from pytest_agb.client import AGBError

    try:
        return _agb_pool.agb()
    except AGBError as error:
        raise _failure(f"no AGB client: {error}") from None


def _failure(reason: str) -> BaseException:
    """What ends a test's setup with ``reason`` alone: no traceback of ours, no chain of causes."""
    return pytest.fail.Exception(reason, pytrace=False)


def _package(request: pytest.FixtureRequest) -> Node | None:
    """The node that a session is shared in and ends with, where that is not pytest's own scope.

    With --agb-scope=package it is the package of the test's module, or the whole run outside of any.
    """
    if request.config.stash[SETTINGS].scope != "package":
        return None
    return request.node.getparent(pytest.Package) or request.session


def _lease(
    request: pytest.FixtureRequest, pool: Pool, params: CreateSessionParams, *, foreseen: bool = False
) -> Session:
    """Lease a session until the scope ends, with the project's hooks around it.

    ``foreseen`` says that it is what tests to come will ask for as well, as `demand` sees it.
    """
    from pytest_agb import demand
    from pytest_agb.held import Held
    from pytest_agb.report.waiting import Waiting

    node = _package(request) or request.node
    params = node.ihook.pytest_agb_session_params(config=request.config, params=params) or params
    tests = demand.of(request.session)
    unit = tests.asks(pool, params) if foreseen else ""
    waiting = Waiting(request.config, tests.current, node.nodeid)

    def lease() -> Lease:
        with waiting:
            return pool.acquire(params, user=waiting.test, unit=unit, on_wait=waiting.show)

    held = Held(node, pool, lease)
    (_package(request) or request).addfinalizer(held.end)
    held.prepare()
    return held.session
