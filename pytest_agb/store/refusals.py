"""What the service refuses for good: remembered, so that no process of the run asks for it again."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_agb.client import AGBError, AuthenticationError, BudgetError, ImageNotFoundError
from pytest_agb.store import error_text

if TYPE_CHECKING:
    from pytest_agb.store.database import Database


class Scope(StrEnum):
    """What a refusal is about."""

    #: The key, or the run as a whole: whatever is asked for is refused.
    ACCOUNT = "account"
    IMAGE = "image"


def scope(error: AGBError) -> Scope | None:
    """What the refusal of a create is about; ``None`` where the next one may do better."""
    if isinstance(error, (AuthenticationError, BudgetError)):
        return Scope.ACCOUNT
    if isinstance(error, ImageNotFoundError):
        return Scope.IMAGE
    return None


class Refusals:
    """The refusals, as one process sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, error: AGBError, image: str) -> bool:
        """Remember ``error``, which refused a create of ``image``; false if it is not one for good."""
        about = scope(error)
        if about is None:
            return False
        self._database.write(
            "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?)",
            (about.value, image if about is Scope.IMAGE else "", error_text.write(error)),
        )
        return True

    def find(self, image: str) -> str | None:
        """The error, as text, by which a create of ``image`` would be refused, if that is known."""
        rows = self._database.fetch(
            "SELECT error FROM refusals WHERE scope = ? OR (scope = ? AND image = ?) LIMIT 1",
            (Scope.ACCOUNT.value, Scope.IMAGE.value, image),
        )
        return rows[0][0] if rows else None
