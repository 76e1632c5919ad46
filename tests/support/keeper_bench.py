"""A keeper in the test's own process, whose steps the test takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_agb.client import AGBError, CreateSessionParams
from pytest_agb.keeper.janitor import JanitorSettings
from pytest_agb.keeper.keeper import Keeper, KeeperSettings
from pytest_agb.run import members
from pytest_agb.settings import Settings
from pytest_agb.store import error_text, session_spec
from pytest_agb.store.database import lay_schema
from pytest_agb.store.slots import Slot
from pytest_agb.store.state import State, database_path

SPEC = session_spec.write(CreateSessionParams("agb-code-space-1", {}, 120))


class Everybody(members.Others):
    """All members live."""

    def __init__(self) -> None:
        pass

    def lives(self, member: str) -> bool:
        return True

    def any(self, *, users_only: bool = False) -> bool:
        return True


class Bench:
    """A run whose keeper works when the test says so."""

    def __init__(self, run: Path, settings: Settings, **durations: Any) -> None:
        run.mkdir()
        lay_schema(database_path(run))
        self.settings = settings
        self.state = State(run, settings)
        self.keeper = Keeper(
            run,
            settings,
            durations=replace(KeeperSettings(look_seconds=0.02), janitor=JanitorSettings(**durations)),
            others=Everybody(),
        )

    def begin(self, slot: str) -> None:
        """Write a slot whose create is under way."""
        now = time.time()
        self.state.slots.begin(
            slot, spec=SPEC, member="worker", idle_timeout=120, created_at=now, expires_at=int(now) + 3600
        )

    def ask(self, spec: str = SPEC) -> int:
        """Want a session; return the want's number."""
        want = self.state.waiters.ask(spec, member="worker", user="test_it")
        assert not isinstance(want, Slot)
        return want

    def answer(self, want: int, *, seconds: float = 15.0) -> Slot | AGBError:
        """What the want is answered with, a lease or an error."""
        found: list[Slot | AGBError] = []

        def answered() -> bool:
            slot, error = self.state.waiters.claim(want), self.state.waiters.error(want)
            found.extend([slot] if slot else [error_text.read(error)] if error else [])
            return bool(found)

        self.until(answered, "an answer", seconds=seconds)
        self.state.waiters.withdraw(want)
        return found[0]

    def until(self, holds: Callable[[], object], what: str, *, seconds: float = 15.0) -> None:
        """Have the keeper work until ``holds()``."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            self.keeper.step()

    def work(self, seconds: float) -> None:
        """Have the keeper work for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.keeper.step()

    def close(self) -> None:
        self.keeper._creates.close()
        self.keeper._calls.close()
        self.keeper.abandon()
        self.state.close()
