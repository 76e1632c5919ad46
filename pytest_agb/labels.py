"""The labels of a session: which are ours, and what makes a label valid.

Standard library only: both the plugin's start-up and the client import it.
"""

from __future__ import annotations

from collections.abc import Mapping

CREATED_BY = "created_by"
#: The value of ``created_by`` that marks a session as made by this plugin.
CREATED_BY_US = "pytest-agb"
RUN = "agb_run"
SLOT = "agb_slot"
EXPIRES = "agb_expires"
CI_RUN = "agb_ci_run"

#: Labels that the sweep finds orphans by. Users can neither set nor drop them on a session of the plugin.
RESERVED = frozenset({CREATED_BY, RUN, SLOT, EXPIRES, CI_RUN})


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
