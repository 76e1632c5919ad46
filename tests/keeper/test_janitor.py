"""The keeper's care for single slots, where a real service would take too long to show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from pytest_agb.client import AGB, UnavailableError
from pytest_agb.keeper.janitor import Janitor, JanitorSettings
from pytest_agb.keeper.jobs import Jobs
from pytest_agb.run.ownership import Ownership
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings
from pytest_agb.store.database import lay_schema
from pytest_agb.store.slots import Trouble
from pytest_agb.store.state import State, database_path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    lay_schema(database_path(tmp_path))
    settings = Settings(
        backend="cloud",
        run_id="run-00000001",
        images=("agb-code-space-1",),
        labels={},
        scope="function",
        idle_timeout=120,
        local_isolation="auto",
        endpoint="http://127.0.0.1:9",
        timeout_seconds=1.0,
        api_key=Secret("ako-1"),
    )
    state = State(tmp_path, settings, clock=lambda: 1000.0)
    yield state
    state.close()


def upkeep(state: State, now: float) -> Janitor:
    def no_calls() -> AGB | None:
        raise AssertionError("a call was about to be made")

    return Janitor(
        state,
        agb=no_calls,
        lives=lambda member: True,
        jobs=Jobs(ThreadPoolExecutor(1)),
        ownership=Ownership("run-00000001"),
        learn=lambda **seconds: None,
        looked=lambda slot, look: None,
        clock=lambda: now,
        settings=JanitorSettings(),
    )


def begin(state: State) -> None:
    state.slots.begin("a", spec="spec", member="keeper", idle_timeout=120, created_at=1000.0, expires_at=3400)


def test_it_gives_up_on_a_session_past_its_lifetime_and_records_that(state: State) -> None:
    begin(state)
    state.slots.ready("a", "session-1")
    state.slots.give_up("a", "nobody needs it")

    upkeep(state, now=3400.0).step(state.slots.left())

    assert [slot.trouble for slot in state.slots.left()] == [Trouble.GIVEN_UP]
    with pytest.raises(AssertionError, match="a call was about to be made"):
        upkeep(state, now=3399.0).step(state.slots.left())


def test_what_is_given_up_waits_for_nothing(state: State) -> None:
    begin(state)
    state.slots.lost("a", "no answer")
    keeper = upkeep(state, now=3401.0)

    assert keeper.step(state.slots.left()) == float("inf")


def test_a_lost_session_is_looked_for_from_when_it_was_lost(state: State) -> None:
    """A create may be under way for long before its answer is known to be lost.

    And an answer that is no answer does not say that there is none.
    """
    begin(state)
    state.slots.lost("a", "no answer in time")

    class Nothing:
        looks = 0
        answers = True

        def iter_session_ids(self, labels: Mapping[str, str]) -> Iterator[str]:
            self.looks += 1
            if not self.answers:
                raise UnavailableError("no connection")
            return iter(())

    service, clock, jobs = Nothing(), [1100.0], Jobs(ThreadPoolExecutor(1))
    keeper = Janitor(
        state,
        agb=lambda: cast(AGB, service),
        lives=lambda member: True,
        jobs=jobs,
        ownership=Ownership("run-00000001"),
        learn=lambda **seconds: None,
        looked=lambda slot, look: None,
        clock=lambda: clock[0],
        settings=JanitorSettings(),
    )
    for clock[0] in (1100.0, 1160.0):
        keeper.step(state.slots.left())
        jobs.finish(10.0)
    service.answers = False
    clock[0] = 1221.0
    keeper.step(state.slots.left())
    jobs.finish(10.0)
    assert [slot.slot for slot in state.slots.left()] == ["a"]
    service.answers = True
    clock[0] = 1251.0
    keeper.step(state.slots.left())
    jobs.finish(10.0)

    assert (state.slots.left(), service.looks) == ([], 4)
