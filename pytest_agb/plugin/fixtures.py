"""The fixtures. Each is a thin skin over the pool; none creates or deletes a session itself.

``agb_image`` → ``agb_session_params`` → ``agb_session``: each rung can be overridden in a conftest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb import real
from pytest_agb.plugin.stash import JOINED_EARLY, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_agb.client import AGB, CreateSessionParams, Session
    from pytest_agb.plugin.leasing import SessionFactory
    from pytest_agb.pool.pool import Pool


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    """The configured scope; pytest asks when it collects our fixtures.

    Package scope is ours to keep, see `leasing`: pytest takes a plugin's fixture to belong to no package.
    """
    scope = config.stash[SETTINGS].scope
    return "module" if scope == "package" else scope


@pytest.fixture(scope="session")
def _agb_pool(request: pytest.FixtureRequest) -> Iterator[Callable[[], Pool]]:
    """Gives this process's part of the run's pool. When that is closed, the keeper deletes its sessions."""
    from pytest_agb.plugin import controller, joining, per_test
    from pytest_agb.plugin.pytest_internals import test_that_asks
    from pytest_agb.plugin.signals import as_interrupts

    config = request.config
    per_test.ensure(config, test_that_asks(request))

    def joined() -> Pool:
        pool = joining.pool(config)
        if not pool.journal.test:  # a test has asked as it runs
            per_test.of(config).has(pool.journal)
        return pool

    try:
        with as_interrupts():
            yield joined
    finally:
        try:
            if controller.is_worker(config):
                controller.report_kept(config, joining.kept(config))
            else:  # to be a member while wider fixtures take their time to end
                controller.attend(config).look()
        finally:
            joining.leave(config)


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
    _refuse_fakes(request.config)
    from pytest_agb.plugin import marker
    from pytest_agb.plugin.misuse import refuse_parameter
    from pytest_agb.plugin.params import session_params
    from pytest_agb.plugin.pytest_internals import test_that_asks

    refuse_parameter(request)
    try:
        return session_params(
            request.node, test_that_asks(request), agb_image, request.config.stash[SETTINGS]
        )
    except marker.MarkerError as error:
        raise _failure(str(error)) from None


@pytest.fixture(scope=_scope)
def agb_session(
    request: pytest.FixtureRequest, _agb_pool: Callable[[], Pool], agb_session_params: CreateSessionParams
) -> Session:
    """An AGB session: an isolated sandbox that runs code, commands and file operations.

    It is the test's alone until the scope ends (--agb-scope; by default, with the test), new and then deleted
    unless --agb-reuse says otherwise.
    """
    _refuse_fakes(request.config)
    from pytest_agb.client import AGBError
    from pytest_agb.plugin import leasing, told
    from pytest_agb.plugin.misuse import refuse_parameter

    refuse_parameter(request)
    try:
        return leasing.lease_or_share(request, _agb_pool(), agb_session_params)
    except AGBError as error:
        raise _failure(f"no AGB session: {told.once(request, error)}") from None


@pytest.fixture(scope=_scope)
def agb_session_factory(
    request: pytest.FixtureRequest, _agb_pool: Callable[[], Pool], agb_session_params: CreateSessionParams
) -> SessionFactory:
    """Call it for any number of sessions: agb_session_factory(image=..., labels=...).

    It takes idle_timeout= and policy_id= too. What is not given is as for agb_session; labels are merged over
    those. All sessions are deleted when the scope ends.
    """
    _refuse_fakes(request.config)
    from pytest_agb.plugin import leasing
    from pytest_agb.plugin.misuse import refuse_parameter

    refuse_parameter(request)
    return leasing.factory(request, _agb_pool(), agb_session_params)


@pytest.fixture(scope="session")
def agb(request: pytest.FixtureRequest, _agb_pool: Callable[[], Pool]) -> AGB:
    """A client for the run's backend; what it creates has the run's labels and is deleted at the end."""
    _refuse_fakes(request.config)
    from pytest_agb.client import AGBError
    from pytest_agb.plugin import told
    from pytest_agb.plugin.joining import naming_patches
    from pytest_agb.plugin.misuse import refuse_parameter

    refuse_parameter(request)
    try:
        pool = _agb_pool()
        with naming_patches(pool):
            return pool.agb()
    except AGBError as error:
        raise _failure(f"no AGB client: {told.once(request, error)}") from None


def _refuse_fakes(config: pytest.Config) -> None:
    """Refuse to import what uses sessions, let alone to join, while what it takes is not the real thing."""
    replaced = real.replaced()
    if replaced and JOINED_EARLY not in config.stash:
        raise _failure(
            f"no AGB session: the run can't be joined while {replaced}. Name the fixture among the test's "
            "arguments, or in a usefixtures mark: then the run is joined before the first test, out of its "
            "reach"
        )


def _failure(reason: str) -> BaseException:
    """What ends a test's setup with ``reason`` alone: no traceback of ours, no chain of causes."""
    return pytest.fail.Exception(reason, pytrace=False)
