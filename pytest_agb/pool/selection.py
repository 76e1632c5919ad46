"""Which sessions a sweep takes: read from a session's labels, decided by what was asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb.settings import CLOCK_SKEW_SECONDS, MAX_LIFETIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping


class SelectionError(ValueError):
    """A selection that can't be meant."""


@dataclass(frozen=True)
class FoundSession:
    """A session that carries our ``created_by``, by its labels; what a label does not say is ``None``."""

    session_id: str
    run: str | None = None
    ci_run: str | None = None
    slot: str | None = None
    #: Unix time in seconds after which nobody can still be using it.
    expires_at: int | None = None

    @classmethod
    def from_labels(cls, session_id: str, labels: Mapping[str, str]) -> FoundSession:
        """Read what the labels say."""
        expires = labels.get(label_rules.EXPIRES, "")
        readable = expires.isascii() and expires.isdigit() and len(expires) <= 11  # 12 and more: milliseconds
        return cls(
            session_id,
            labels.get(label_rules.RUN),
            labels.get(label_rules.CI_RUN),
            labels.get(label_rules.SLOT),
            int(expires) if readable else None,
        )

    def age_seconds(self, now: float) -> float | None:
        """Seconds since its creation by the clock of the machine that created it."""
        if self.expires_at is None:
            return None
        return now - (self.expires_at - MAX_LIFETIME_SECONDS - CLOCK_SKEW_SECONDS)


@dataclass(frozen=True)
class Selection:
    """Which of our sessions should go: those past their expiry, unless something else is said.

    Raises:
        SelectionError: a name is blank, or both a name and an age are given.
    """

    #: Only the sessions of this run, expired or not.
    run: str | None = None
    #: Only the sessions of this CI run, expired or not; with ``run``, of both.
    ci_run: str | None = None
    #: Also sessions that are older than this, expired or not. They may be in use.
    older_than_seconds: float | None = None

    def __post_init__(self) -> None:
        for what, name in (("run", self.run), ("CI run", self.ci_run)):
            if name is not None and not name.strip():  # an unset variable must not widen the selection
                raise SelectionError(f"the {what} to select is empty: give its ID")
        if self.names_a_run and self.older_than_seconds is not None:
            raise SelectionError("select by run or by age, not both: all sessions of a named run go")

    @property
    def names_a_run(self) -> bool:
        """Whether a run is named, all of whose sessions should go."""
        return self.run is not None or self.ci_run is not None

    @property
    def labels(self) -> dict[str, str]:
        """What every session of the selection carries."""
        wanted = {
            label_rules.CREATED_BY: label_rules.CREATED_BY_US,
            label_rules.RUN: self.run,
            label_rules.CI_RUN: self.ci_run,
        }
        return {key: value for key, value in wanted.items() if value is not None}

    def reason_to_keep(self, session: FoundSession, now: float) -> str | None:
        """Say why ``session``, which carries `labels`, must stay, or return ``None`` if it should go."""
        if self.names_a_run:
            return None
        age = session.age_seconds(now)
        if session.expires_at is None or age is None:
            return "its agb_expires label can't be read"
        if now > session.expires_at:
            return None
        if self.older_than_seconds is not None and age > self.older_than_seconds:
            return None
        return "it may still be in use"
