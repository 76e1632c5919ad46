"""When to send a request again, and how long to wait before that. Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pytest_agb import parse_number
from pytest_agb.client import errors
from pytest_agb.client.api.messages import Repeat

if TYPE_CHECKING:
    from pytest_agb.client.client_settings import RetrySettings


def may_repeat(repeat: Repeat, error: errors.AGBError) -> bool:
    """Whether a request that failed with ``error`` may, and should, be sent again.

    A request that timed out has taken all the time its caller gave it; it is not repeated.
    """
    if repeat is Repeat.NEVER:
        return False
    if isinstance(error, errors.UnavailableError) and not error.maybe_executed:
        return True
    if repeat is Repeat.IF_NOT_SENT:
        return False
    return isinstance(error, (errors.ThrottledError, errors.UnavailableError)) or error.http_status == 429


def wait_seconds(settings: RetrySettings, repetition: int, retry_after: float | None, chance: float) -> float:
    """How long to wait before the ``repetition``-th repetition (from 0); ``chance`` is in 0..1."""
    longest = min(settings.cap_seconds, settings.base_seconds * 2.0**repetition)
    wait = longest * (0.5 + chance / 2)
    if retry_after is None:
        return wait
    # All who were told "in 2 seconds" would be back at the same moment, so ours is added on top.
    return min(retry_after, settings.retry_after_cap_seconds) + wait / 2


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` header, seconds or an HTTP date; ``now`` is the wall clock."""
    if not value:
        return None
    seconds = parse_number.decimal(value, -parse_number.MOST, parse_number.MOST)
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (TypeError, ValueError, OverflowError):
            return None
    return max(seconds, 0.0)
