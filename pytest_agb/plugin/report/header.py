"""What is in force, at the start of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agb import namespace_signs
from pytest_agb.settings import CLOUD, LOCAL

if TYPE_CHECKING:
    from pytest_agb.settings import Settings


def lines(settings: Settings) -> list[str]:
    """The lines of the header."""
    return [
        f"agb: {_describe_backend(settings)}, image {', '.join(settings.images)}, "
        f"scope {settings.scope}, run {settings.run_id}"
        + (f", CI run {settings.ci_run}" if settings.ci_run else ""),
        *_isolation_notice(settings),
    ]


def dotenv_elsewhere(root: Path) -> list[str]:
    """Name a ``.env`` in pytest's rootdir that is not the working directory's, which alone is read."""
    path = root / ".env"
    if not path.is_file() or Path.cwd() == root:
        return []
    return [f"agb: {path} is not read, only a .env in the working directory is"]


def _describe_backend(settings: Settings) -> str:
    if settings.backend == LOCAL:
        return "local sandboxes"
    return f"cloud {settings.endpoint}" + ("" if settings.api_key else " (AGB_API_KEY is not set)")


def _isolation_notice(settings: Settings) -> list[str]:
    """Say what is less than full isolation. A look costs time, so there is a sign for it or none is taken."""
    if settings.backend == CLOUD:
        return []
    if (
        settings.local_isolation in ("auto", "namespaces")
        and settings.local_network == "none"
        and not namespace_signs.are_doubtful()
    ):
        return []
    from pytest_agb.local import server  # only where there may be something to say: start-up time

    try:
        notice = server.notice(server.choose(settings.local_isolation), settings.local_network)
    except server.IsolationUnavailable:
        return []  # the tests that ask for a session say it, and others have no need of one
    return [f"agb: {notice}"] if notice else []
