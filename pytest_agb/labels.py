"""The labels of a session: which are ours, what they say, and what makes a label valid.

Standard library only: both the plugin's start-up and the client import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pytest_agb import parse_number
from pytest_agb.settings import CLOCK_SKEW_SECONDS

if TYPE_CHECKING:
    from pytest_agb.settings import Settings

CREATED_BY = "created_by"
#: The value of ``created_by`` that marks a session as made by this plugin.
CREATED_BY_US = "pytest-agb"
RUN = "agb_run"
SLOT = "agb_slot"
CREATED = "agb_created"
EXPIRES = "agb_expires"
CI_RUN = "agb_ci_run"

#: Labels that the sweep finds orphans by. Users can neither set nor drop them on a session of the plugin.
RESERVED = frozenset({CREATED_BY, RUN, SLOT, CREATED, EXPIRES, CI_RUN})

#: Unix seconds have 10 digits since 2001; what has 12 or more is in milliseconds.
_FIRST_SECONDS = 1_000_000_000
_LAST_SECONDS = 99_999_999_999


class RunLabels(NamedTuple):
    """What our labels say of a session; what they do not say is ``None``. Times are whole Unix seconds."""

    run: str | None = None
    slot: str | None = None
    #: When its create was sent, by the clock of the machine that sent it.
    created: int | None = None
    #: After which nobody can still be using it.
    expires: int | None = None
    ci_run: str | None = None
    #: The labels among ours that are there and say nothing.
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of_slot(cls, settings: Settings, slot: str, created_at: float, expires_at: float) -> RunLabels:
        """The labels by which the session of ``slot`` is found, whatever happens. Times in Unix seconds."""
        return cls(settings.run_id, slot, int(created_at), int(expires_at), settings.ci_run or None)

    def write(self) -> dict[str, str]:
        """The labels that say this, as they are sent."""
        said = {
            RUN: self.run,
            SLOT: self.slot,
            CREATED: self.created,
            EXPIRES: self.expires,
            CI_RUN: self.ci_run,
        }
        return {
            CREATED_BY: CREATED_BY_US,
            **{key: str(value) for key, value in said.items() if value is not None},
        }

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> RunLabels:
        """Undo `write`, on labels that anybody may have written."""
        times = {
            key: parse_number.whole(labels[key], _FIRST_SECONDS, _LAST_SECONDS)
            for key in (CREATED, EXPIRES)
            if key in labels
        }
        return cls(
            labels.get(RUN),
            labels.get(SLOT),
            times.get(CREATED),
            times.get(EXPIRES),
            labels.get(CI_RUN),
            tuple(key for key, time in times.items() if time is None),
        )

    def age_seconds(self, now: float) -> float | None:
        """Seconds since its creation; ``None`` where that is unknown, or ahead by more than clocks differ."""
        if self.created is None or self.created > now + CLOCK_SKEW_SECONDS:
            return None
        return max(0.0, now - self.created)


def expires_at(settings: Settings, created_at: float) -> float:
    """Unix seconds after which nobody can still be using a session that was created at ``created_at``."""
    return created_at + settings.max_lifetime + CLOCK_SKEW_SECONDS


def invalid(labels: object) -> str | None:
    """Say why ``labels`` can't be a session's labels, or return ``None`` if they can.

    The rules are the guide's: a non-empty mapping of non-blank strings to non-blank strings.
    The service itself is not documented to check anything.
    """
    if isinstance(labels, (list, tuple, set)):
        return f"labels must be a mapping such as {{'project': 'demo'}}, not a {type(labels).__name__}"
    if not isinstance(labels, Mapping):
        return f"labels must be a mapping such as {{'project': 'demo'}}, not {labels!r}"
    if not labels:
        return "labels are empty: give at least one label"
    for key, value in labels.items():
        if not isinstance(key, str):
            return f"label keys must be strings, not {key!r}"
        if not key.strip():
            return f"a label key is empty (its value is {value!r})"
        if not isinstance(value, str):
            return f"the value of label {key!r} must be a string, not {value!r}"
        if not value.strip():
            return f"the value of label {key!r} is empty"
    return None


def reserved_part(labels: Mapping[str, str]) -> dict[str, str]:
    """Pick the labels that are ours out of ``labels``.

    ``created_by`` is ours only with our value: the guide itself sets it to ``agb-sdk`` on a session.
    """
    return {
        key: value
        for key, value in labels.items()
        if key in RESERVED and (key != CREATED_BY or value == CREATED_BY_US)
    }


def refused(labels: Mapping[str, str], *, on_ours: bool = False) -> str | None:
    """Say which of ``labels`` a user may not set, or return ``None`` if all are the user's to set.

    ``on_ours`` says that the session carries our ``created_by``, which then can't be replaced.
    """
    ours = set(reserved_part(labels)) | ({CREATED_BY} & set(labels) if on_ours else set())
    if not ours:
        return None
    return f"{', '.join(map(repr, sorted(ours)))} is reserved: the clean-up finds orphaned sessions by it"
