"""Where the backend of a run is: the service, or a server of the run's own on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.run import local_server
from pytest_agb.settings import CLOUD

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_agb.settings import Settings


def find(run: Path, settings: Settings) -> str | None:
    """Where it is; ``None`` if that is a local server that is gone: so are its sessions."""
    return settings.endpoint if settings.backend == CLOUD else local_server.endpoint(run)


def ensure(run: Path, settings: Settings) -> str:
    """Where it is. The local server is started if it is not there, or not there any more.

    Raises:
        pytest_agb.run.local_server.LocalServerError: it can't be had.
    """
    if settings.backend == CLOUD:
        return settings.endpoint
    assert settings.api_key is not None
    return local_server.ensure(
        run,
        api_key=settings.api_key,
        isolation=settings.local_isolation,
        network=settings.local_network,
    )
