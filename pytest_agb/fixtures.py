"""The fixtures. Each is a thin skin over the pool; none creates or deletes a session itself.

``agb_image`` → ``agb_session_params`` → ``agb_session``: each rung can be overridden in a conftest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb import labels as label_rules
from pytest_agb import marker
from pytest_agb.stash import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Protocol

    from pytest_agb.client import AGB, CreateSessionParams, Session
    from pytest_agb.pool import Lease, Pool

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


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    """The configured scope; pytest asks when it collects our fixtures."""
    return config.stash[SETTINGS].scope


@pytest.fixture(scope="session")
def _agb_pool(pytestconfig: pytest.Config) -> Iterator[Pool]:
    """This process's part of the run's pool. At its end nothing that was created through it is left."""
    from pytest_agb.pool import Pool  # a run that asks for no session does not pay for httpx

    pool = Pool(pytestconfig.stash[SETTINGS])
    yield pool
    problems = pool.close()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


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
    from pytest_agb.client import CreateSessionParams

    settings = request.config.stash[SETTINGS]
    try:
        marked = marker.arguments(request.node)
    except marker.MarkerError as error:
        pytest.fail(str(error), pytrace=False)
    return CreateSessionParams(
        image_id=marked.get("image", agb_image),
        labels={**settings.labels, **marked.get("labels", {})},
        idle_release_timeout=marked.get("idle_timeout", settings.idle_timeout),
        policy_id=marked.get("policy_id"),
    )


@pytest.fixture(scope=_scope)
def agb_session(
    pytestconfig: pytest.Config, _agb_pool: Pool, agb_session_params: CreateSessionParams
) -> Iterator[Session]:
    """A new AGB session: an isolated sandbox that runs code, commands and file operations.

    It is deleted when the scope ends (--agb-scope; by default, with the test).
    """
    from pytest_agb.client import AGBError

    try:
        lease = _lease(pytestconfig, _agb_pool, agb_session_params)
    except AGBError as error:
        pytest.fail(f"no AGB session: {error}", pytrace=False)
    yield lease.session
    _agb_pool.release(lease)


@pytest.fixture(scope=_scope)
def agb_session_factory(
    pytestconfig: pytest.Config, _agb_pool: Pool, agb_session_params: CreateSessionParams
) -> Iterator[SessionFactory]:
    """Call it for any number of sessions: agb_session_factory(image=..., labels=..., idle_timeout=..., policy_id=...).

    What is not given is as for agb_session; labels are merged over those. All are deleted when the scope ends.
    """
    from dataclasses import replace

    from pytest_agb.client import InvalidRequestError

    leases: list[Lease] = []

    def create(
        *,
        image: str | None = None,
        labels: Mapping[str, str] | None = None,
        idle_timeout: int | None = None,
        policy_id: str | None = None,
    ) -> Session:
        wrong = None if labels is None else label_rules.invalid(labels)
        if wrong:
            raise InvalidRequestError(f"agb_session_factory: {wrong}")
        given = {"image_id": image, "idle_release_timeout": idle_timeout, "policy_id": policy_id}
        params = replace(
            agb_session_params,
            labels={**(agb_session_params.labels or {}), **(labels or {})},
            **{name: value for name, value in given.items() if value is not None},
        )
        lease = _lease(pytestconfig, _agb_pool, params)
        leases.append(lease)
        return lease.session

    yield create
    for lease in leases:
        _agb_pool.release(lease)


@pytest.fixture(scope="session")
def agb(_agb_pool: Pool) -> AGB:
    """An AGB client for the run's backend. What it creates carries the run's labels and is deleted at the end."""
    return _agb_pool.agb()


def _lease(config: pytest.Config, pool: Pool, params: CreateSessionParams) -> Lease:
    """Lease a session for ``params``, with the project's hooks around its creation."""
    changed = config.hook.pytest_agb_session_params(config=config, params=params)
    lease = pool.acquire(changed or params)
    try:
        config.hook.pytest_agb_session_ready(config=config, session=lease.session)
    except BaseException:
        pool.release(lease)
        raise
    return lease
