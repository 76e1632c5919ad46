from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from pytest_agb import AGB, ClientSettings, Result, RetrySettings, Session
from pytest_agb.client.http import retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.standin import StandIn
    from support.standin_clock import Sleeps
    from support.standin_faults import Fault

LIST = "/sdk/ListSession"

SAFE_CALLS: dict[str, Callable[[AGB, Session], Result]] = {
    "/sdk/ListSession": lambda agb, session: agb.list(),
    "/mcp/getSession": lambda agb, session: agb.get(session.session_id),
    "/mcp/getSessionInfo": lambda agb, session: session.get_status(),
    "/sdk/GetLabel": lambda agb, session: session.get_labels(),
    "/sdk/SetLabel": lambda agb, session: session.set_labels({"a": "b"}),
    "/mcp/getMcpResource": lambda agb, session: session.info(),
    "/mcp/refreshSessionIdleTime": lambda agb, session: session.keep_alive(),
    "/mcp/releaseSessionAsync": lambda agb, session: agb.release(session.session_id),
}


@pytest.mark.parametrize("fault", ["429", "503", "html_502", "drop_before", "drop_after"])
@pytest.mark.parametrize("path", SAFE_CALLS)
def test_a_safe_call_is_repeated(
    service: StandIn, agb: AGB, session: Session, path: str, fault: Fault, sleeps: Sleeps
) -> None:
    service.fault(path, fault, times=3)

    assert SAFE_CALLS[path](agb, session).success
    assert service.count(path) == 4
    assert len(sleeps) == 3


@pytest.mark.parametrize("fault", ["401", "html"])
def test_what_repeating_cannot_mend_is_not_repeated(service: StandIn, agb: AGB, fault: Fault) -> None:
    service.fault(LIST, fault)

    assert not agb.list().success
    assert service.count(LIST) == 1


def test_repeating_has_an_end(service: StandIn, agb: AGB) -> None:
    service.fault(LIST, "503", times=100)

    assert not agb.list().success
    assert service.count(LIST) == agb.settings.retry.attempts


def test_waits_grow_up_to_a_cap(service: StandIn, sleeps: Sleeps) -> None:
    settings = ClientSettings(retry=RetrySettings(attempts=6, base_seconds=1, cap_seconds=4))
    service.fault(LIST, "503", times=100)
    with AGB(service.api_key, service.endpoint, settings=settings, sleep=sleeps, chance=lambda: 1.0) as agb:
        agb.list()

    assert sleeps == [1, 2, 4, 4, 4]


def test_waits_are_spread(service: StandIn, sleeps: Sleeps) -> None:
    settings = RetrySettings(base_seconds=1)

    assert [retry.wait_seconds(settings, 0, None, chance) for chance in (0.0, 0.5, 1.0)] == [0.5, 0.75, 1.0]


def test_retry_after_is_honoured(service: StandIn, agb: AGB, sleeps: Sleeps) -> None:
    service.retry_after = "7"
    service.fault(LIST, "429")

    agb.list().check()

    assert 7 <= sleeps[0] < 8


def test_retry_after_is_bounded(service: StandIn, agb: AGB, sleeps: Sleeps) -> None:
    service.retry_after = "86400"
    service.fault(LIST, "429")

    agb.list().check()

    assert sleeps[0] < agb.settings.retry.retry_after_cap_seconds + 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        (formatdate(1_000_010, usegmt=True), 10),
        (formatdate(999_000, usegmt=True), 0),
        ("12.25", 12.25),
        ("soon", None),
        ("\u00b2", None),
        ("\uff11\uff12", None),
        ("1_0", None),
        ("1e1", None),
        ("+5", None),
        ("9" * 400, None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry.parse_retry_after(value, now=1_000_000) == seconds


@pytest.mark.parametrize("fault", ["503", "429", "drop_before"])
def test_a_tool_call_is_not_repeated(service: StandIn, session: Session, fault: Fault) -> None:
    service.fault("/mcp", fault)

    assert not session.command.execute("touch x").success
    assert service.count("/mcp") == 1


def test_a_call_that_was_never_sent_is_repeated_where_it_may_be(sleeps: Sleeps) -> None:
    agb = AGB("some-key", "http://127.0.0.1:9", sleep=sleeps)
    session = Session(agb, "session-1")

    session.command.execute("ls")

    assert len(sleeps) == agb.settings.retry.attempts - 1
