"""What a sweep tells: of each session while it runs, and of all at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb.sweep.selection import FoundSession


class Action(StrEnum):
    """What was done about a session."""

    #: Its deletion was accepted.
    DELETED = "deleted"
    KEPT = "kept"
    #: It should go, and was not touched because nothing was to be deleted.
    WOULD_DELETE = "would delete"
    #: It should go, or may have to, and is still there at the end; ``reason`` says why.
    LEFT = "left"


@dataclass(frozen=True)
class Expected:
    """So many sessions the service counts at the beginning."""

    count: int


@dataclass(frozen=True)
class Settled:
    """A session is dealt with. One that was `DELETED` comes again as `LEFT` if it does not go away."""

    action: Action
    session: FoundSession
    reason: str = ""
    #: Whether it was `KEPT` because its labels don't say what would decide.
    undecided: bool = False


Event = Expected | Settled


@dataclass
class Outcome:
    """How a sweep ended."""

    deleted: int = 0
    kept: int = 0
    would_delete: int = 0
    #: ID of each session that should be gone and is not, with the reason.
    left: dict[str, str] = field(default_factory=dict)
    #: False where sessions kept coming for as long as we looked.
    finished: bool = True

    @property
    def clean(self) -> bool:
        """Whether nothing is left that should go."""
        return self.finished and not self.left and not self.would_delete
