"""The hooks that a project, or another plugin, can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_agb.client import CreateSessionParams, Session


@pytest.hookspec(firstresult=True)
def pytest_agb_session_params(
    config: pytest.Config, params: CreateSessionParams
) -> CreateSessionParams | None:
    """Return what a session is created with instead of ``params``, or ``None`` to leave it to others.

    Make it with `dataclasses.replace`. Called before each create of ``agb_session`` and
    ``agb_session_factory``.
    """


@pytest.hookspec
def pytest_agb_session_reset(config: pytest.Config, session: Session) -> None:
    """Bring ``session``, whose lease has just ended, into the state that the next test expects.

    Called with ``--agb-reuse=reset`` in the process of the test. If an implementation raises, there is a
    warning, and the session is deleted instead of leased again.
    """


@pytest.hookspec
def pytest_agb_session_ready(config: pytest.Config, session: Session) -> None:
    """Prepare ``session``, which was just created, before a test sees it.

    Called in the process of the test. If an implementation raises, the session is deleted and the test that
    asked for it has an error.
    """
