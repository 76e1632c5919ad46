"""The settings of a run: resolved once, in the controller, and the same in every process of the run.

Standard library only: the plugin's start-up imports it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOUD = "cloud"
LOCAL = "local"

#: Seconds that the service keeps a session at the most (docs/session/lifecycle.md of the official SDK).
MAX_LIFETIME_SECONDS = 30 * 60
#: Seconds by which the clocks of two machines may differ before a sweep could take a live session.
CLOCK_SKEW_SECONDS = 10 * 60


@dataclass(frozen=True)
class Settings:
    """What holds for a run.

    Built by `pytest_agb.options.resolve` from marker defaults, command line, ini files and environment;
    handed to xdist's workers over their own channel. Nothing else reads those sources.
    """

    #: ``cloud`` or ``local``.
    backend: str
    #: Unique to the run: a prefix and 8 random hex digits.
    run_id: str
    #: Images asked for; more than one parametrizes the tests that use a session.
    images: tuple[str, ...]
    #: The user's labels for every session.
    labels: Mapping[str, str]
    #: Scope of ``agb_session`` and ``agb_session_factory``.
    scope: str
    #: Seconds without a call after which the service releases a session by itself.
    idle_timeout: int
    #: ``auto``, ``any``, ``namespaces`` or ``none``; of the local backend only.
    local_isolation: str
    #: Base URL of the service; of the cloud backend only.
    endpoint: str
    #: Seconds that one call may take.
    timeout_seconds: float
    #: The account's key, or the random key of the run's local server; never in a file or a `repr`.
    api_key: str | None = field(repr=False)
    #: Names the CI run that this run is a part of, the same in all its jobs; ``None`` outside CI.
    ci_run: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """Plain values, such as xdist can send to a worker. Holds the key: for that channel only."""
        return asdict(self)

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> Settings:
        """Undo `to_wire`."""
        return cls(**{**values, "images": tuple(values["images"])})
