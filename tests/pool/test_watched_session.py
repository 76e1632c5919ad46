"""A leased session notices its death in what its calls are answered, and in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.standin import StandIn

from pytest_agb.client import AGB, CreateSessionParams
from pytest_agb.pool.watched_session import WatchedSession


class Watched:
    """A session of the stand-in on a clock that each request moves on by ``seconds``."""

    def __init__(self, service: StandIn) -> None:
        self.service = service
        self.agb = AGB(service.api_key, service.endpoint, 0.2)
        self.seconds = 20.0
        self.now = 0.0
        self.deaths: list[str] = []
        created = self.agb.create(CreateSessionParams(image_id="agb-code-space-1")).check().session
        self.session = WatchedSession(
            self.agb, created.session_id, on_death=self.deaths.append, clock=self.clock
        )

    def clock(self) -> float:
        self.now += self.seconds  # it is read at a call's beginning and, if that is not answered, its end
        return self.now

    def unanswered(self) -> None:
        self.service.latency["/mcp/refreshSessionIdleTime"] = 5.0
        assert not self.session.keep_alive().success
        self.service.latency.clear()


@pytest.fixture
def watched(service: StandIn) -> Iterator[Watched]:
    watched = Watched(service)
    yield watched
    watched.agb.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.get_status(),
        lambda session: session.keep_alive(),
        lambda session: session.command.execute_command("true"),
    ],
    ids=["status", "keep-alive", "tool"],
)
def test_one_that_is_gone(watched: Watched, call: Callable[[WatchedSession], object]) -> None:
    watched.service.end_session(watched.session.session_id)

    call(watched.session)

    assert [death.partition(":")[0] for death in watched.deaths] == ["it is gone"]


def test_one_that_answers_nothing_for_long(watched: Watched) -> None:
    watched.unanswered()
    assert watched.deaths == []
    watched.unanswered()
    assert watched.deaths == ["it answered nothing for 40 s"]


def test_any_answer_ends_a_silence(watched: Watched) -> None:
    for _ in range(3):
        watched.unanswered()
        assert not watched.session.command.execute_command("no such tool").success
    assert watched.deaths == []


def test_a_refusal_that_is_not_about_the_session_is_no_death(watched: Watched) -> None:
    for path in ("/mcp/refreshSessionIdleTime", "/internet/getLink"):
        watched.service.fault(path, "403")
    watched.session.keep_alive()
    watched.session.get_link(port=30100)
    watched.service.end_session(watched.session.session_id)
    watched.session.get_labels()  # labels show up late: that there are none says little

    assert watched.deaths == []


def test_a_released_session_has_not_died(watched: Watched) -> None:
    watched.session.mark_released()

    assert not watched.session.keep_alive().success
    assert watched.deaths == []
