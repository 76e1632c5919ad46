"""The exclusive use of a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_agb import real

if TYPE_CHECKING:
    from pytest_agb.client import CreateSessionParams, Session


@dataclass
class Lease:
    """The exclusive use of a session, from `Pool.acquire` to `Pool.release`."""

    slot: str
    session: Session
    #: Of the create.
    request_id: str
    #: Whether nobody has leased the session before.
    fresh: bool
    #: When its create was sent, by the run's clock.
    created_at: float
    #: Leases of this session so far, this one included.
    uses: int
    params: CreateSessionParams
    #: Whether it has ended: by `Pool.release` or `Pool.keep`, or because that failed for good.
    ended: bool = False
    #: The process that leased it; a forked child never gives back its parent's.
    pid: int = field(default_factory=real.pid)

    @property
    def to_end(self) -> bool:
        """Whether this process has it to give back."""
        return not self.ended and self.pid == real.pid()
