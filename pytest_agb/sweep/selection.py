"""Which sessions a sweep takes: read from a session's labels, decided by what was asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_agb import labels as label_rules
from pytest_agb.labels import RunLabels


class SelectionError(ValueError):
    """A selection that can't be meant."""


@dataclass(frozen=True)
class FoundSession:
    """A session that carries our ``created_by``; its ``labels`` say nothing where they were not read."""

    session_id: str
    labels: RunLabels = field(default_factory=RunLabels)


@dataclass(frozen=True)
class Stay:
    """Why a session is kept."""

    reason: str
    #: Whether its labels don't say what would decide, so that a person should know of it.
    undecided: bool = False


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
        return RunLabels(run=self.run, ci_run=self.ci_run).write()

    def reason_to_keep(self, session: FoundSession, now: float) -> Stay | None:
        """Say why ``session``, which carries `labels`, must stay, or return ``None`` if it should go."""
        if self.names_a_run:
            return None
        labels = session.labels
        if labels.expires is None:
            return _undecided(labels, label_rules.EXPIRES)
        if now > labels.expires:
            return None
        if self.older_than_seconds is not None:
            age = labels.age_seconds(now)
            if age is None:
                return _undecided(labels, label_rules.CREATED)
            if age > self.older_than_seconds:
                return None
        return Stay("it may still be in use")


def _undecided(labels: RunLabels, label: str) -> Stay:
    """Keep a session because ``label``, the one of its ``labels`` that decides, tells no time."""
    if label in labels.unreadable:
        trouble = "can't be read"
    elif labels.created is not None and label == label_rules.CREATED:
        trouble = "is in the future"
    else:
        trouble = "is missing"
    return Stay(f"its {label} label {trouble}", undecided=True)
