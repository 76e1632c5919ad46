"""A shared session that is dead, or past the service's lifetime, is not used: it is refused, or renewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin import leased_session, scopes
from pytest_agb.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from pytest_agb.plugin.leased_session import LeasedSession


def look(item: pytest.Item) -> None:
    """Fail the setup of a test whose session is dead or past its lifetime, or renew that session."""
    if not scopes.names(item, scopes.LEASING):
        return
    for leased in leased_session.of(item):
        expired, why_dead = leased.expired(), leased.why_dead()
        if not expired and not why_dead:
            continue
        if not item.config.stash[SETTINGS].renew:
            pytest.fail(_dead(leased, why_dead) if why_dead else _too_old(leased), pytrace=False)
        from pytest_agb.client import AGBError  # brings httpx, which is there once a session is leased

        try:
            leased.renew()
        except AGBError as error:
            raise pytest.fail.Exception(f"no AGB session: {error}", pytrace=False) from None


def _dead(leased: LeasedSession, why: str) -> str:
    return (
        f"AGB session {leased.session.session_id} is lost: {why}. It was shared with earlier tests: use a "
        "narrower --agb-scope, so that fewer share one, or set agb_renew = true, which replaces it by a new "
        "one without what tests and fixtures stored in it."
    )


def _too_old(leased: LeasedSession) -> str:
    most = leased.settings.max_lifetime
    return (
        f"AGB session {leased.session.session_id} is {leased.age_seconds:.0f} s old, past the maximum "
        f"lifetime of {most} s (agb_max_lifetime): the service has ended it or will. Use a narrower "
        "--agb-scope, so that sessions live shorter, or set agb_renew = true, which replaces it by a new one "
        "without what tests and fixtures stored in it."
    )
