"""The keeper as others see it: started by who needs it, told that the end was reported, read when it failed.

What it does is in `pytest_agb.keeper`, which is named here in a string only: it is another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_agb.run.one_per_host import OnePerHost

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_agb.settings import Settings

_MAIN = "pytest_agb.keeper.main:main"
#: What the controller writes when it has reported the end of the run, so that the keeper may leave.
_REPORTED = "reported"


def place(run: Path) -> OnePerHost:
    """The keeper's place in the directory of its run."""
    return OnePerHost(run, "keeper")


def ensure(run: Path, settings: Settings, *, linger_seconds: float | None = None) -> None:
    """See to it that the run has a keeper on this host.

    Raises:
        pytest_agb.run.detach.DetachError: it can't be started, or died too often.
    """

    def payload() -> dict[str, Any]:
        return {
            "run": str(run),
            "settings": settings._asdict(),
            "linger_seconds": linger_seconds,
        }

    place(run).ensure(_MAIN, payload)


def report(run: Path) -> None:
    """Let the keeper leave: the end of the run is reported."""
    (run / _REPORTED).touch()


def is_reported(run: Path) -> bool:
    """Whether the end of the run is reported."""
    return (run / _REPORTED).exists()
