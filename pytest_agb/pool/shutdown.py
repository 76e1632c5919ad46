"""The end of a run: wait for the keeper to delete what is left, and see that nothing is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_agb import real
from pytest_agb.client import AGB, AGBError
from pytest_agb.pool.joined_run import JoinedRun, RunIsOverError
from pytest_agb.run import aside, endpoint, keeper_process, members, run_directory
from pytest_agb.run.ownership import Ownership, roll_call
from pytest_agb.store import history
from pytest_agb.store.database import StateError
from pytest_agb.store.facts import Fact
from pytest_agb.store.slots import Slot, SlotState, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_agb.settings import Settings
    from pytest_agb.store.history import Cost

#: Seconds to wait for the keeper. It goes on after that.
DRAIN_SECONDS = 60.0
_POLL_SECONDS = 0.05
#: Between two questions to the service.
_ASK_SECONDS = 0.5


@dataclass(frozen=True)
class Summary:
    """What became of the run's sessions on this host."""

    created: int
    deleted: int
    #: Sessions that may still be there.
    left: tuple[Slot, ...]
    #: IDs of the sessions that are left to the user, each with what for.
    kept: Mapping[str, str] = field(default_factory=dict)
    #: Why pytest did not wait until nothing was left; empty if it did.
    stopped: str = ""
    #: Session IDs of the run that the service still lists; ``None`` if it could not be asked, or did not say.
    listed: tuple[str, ...] | None = ()
    #: How many sessions there should have been at once, and why: words for people.
    depth: str = ""
    #: Seconds that a create, a lease and a delete took; ``None`` where that is not known.
    times: tuple[float, float, float] | None = None
    #: The end of what the keeper printed: nothing, unless it failed.
    keeper_log: str = ""
    #: Whether the keeper died so often that it was not started again: nobody deletes what is left.
    keeper_given_up: bool = False
    #: Why the run's state can't be read, so that nothing else here says anything; empty where it can.
    unknown: str = ""
    #: What they cost; ``None`` where that is not known.
    cost: Cost | None = None
    #: Whether remote workers had sessions too, which only the listing tells anything of.
    elsewhere: bool = False
    #: What else people should know, of earlier runs too: of what could not be removed, say.
    notes: tuple[str, ...] = ()

    @property
    def left_behind(self) -> tuple[str, ...]:
        """What is known or listed to be there: session IDs or, where these are not known, slots."""
        known = (slot.session_id or f"of slot {slot.slot}" for slot in self.left)
        return tuple(dict.fromkeys([*known, *(self.listed or ())]))


def drain(
    settings: Settings,
    progress: Callable[[int], None],
    *,
    elsewhere: bool = False,
    kept: Mapping[str, str] | None = None,
    wait_seconds: float = DRAIN_SECONDS,
) -> Summary | None:
    """Wait until the keeper has nothing left to delete. ``progress`` is told how many are left.

    With ``elsewhere`` remote workers had sessions too: wait until the service lists none of the run but what
    they have ``kept``, session IDs and what for.

    Returns:
        What became of the sessions; ``None`` if the run created none.
    """
    deadline = real.boot_seconds() + wait_seconds
    used = run_directory.exists(settings.run_id, settings.temp_directory)
    here = _drain_here(settings, progress, deadline) if used else None
    if not elsewhere:
        return here
    summary = replace(here or Summary(0, 0, ()), elsewhere=True)
    if summary.unknown:
        return summary
    if not settings.outlives_run or summary.stopped or summary.listed is None:
        return replace(summary, kept={**summary.kept, **(kept or {})})
    agb = AGB(settings.api_key, settings.endpoint, settings.timeout_seconds)
    try:
        there = {name: why for name, why in (kept or {}).items() if not _has_ended(lambda: agb, name)}
        there.update(summary.kept)
        listed, stopped = _wait_for_others(agb, settings, progress, deadline, there)
    finally:
        agb.close()
    return replace(summary, listed=listed, stopped=stopped, kept=there)


def _drain_here(settings: Settings, progress: Callable[[int], None], deadline: float) -> Summary | None:
    try:
        process = JoinedRun(settings, members.Role.REPORTER, begin=False)
    except RunIsOverError:  # the keeper was just leaving
        return None
    except (OSError, StateError) as error:
        return Summary(0, 0, (), unknown=str(error))
    try:
        try:
            return _sum_up(process, settings, progress, deadline)
        finally:
            keeper_process.report(run_directory.path(settings.run_id, settings.temp_directory))
            process.leave()
    except (OSError, StateError) as error:
        return Summary(0, 0, (), unknown=str(error))


def _sum_up(
    process: JoinedRun, settings: Settings, progress: Callable[[int], None], deadline: float
) -> Summary | None:
    stopped = _wait(process, progress, deadline)
    kept = _kept(process, stopped)
    count, left = process.state.slots.count(), tuple(process.state.slots.left())
    keeper = process.keeper()
    if not count.created and not left and not keeper.given_up():
        return None
    told = process.state.facts
    times = told.get(Fact.TIMES)
    return Summary(
        count.created,
        count.deleted,
        left,
        kept,
        stopped,
        _listed(process, settings, stopped, kept),
        depth=told.get(Fact.DEPTH),
        times=tuple(json.loads(times)) if times else None,
        cost=history.read(process.state.database),
        keeper_log=keeper.log_tail(),
        keeper_given_up=keeper.given_up(),
        notes=tuple(aside.take_notes(settings.temp_directory)),
    )


def _wait(process: JoinedRun, progress: Callable[[int], None], deadline: float) -> str:
    try:
        while left := [slot for slot in process.state.slots.left() if slot.state is not SlotState.LOST]:
            process.ensure_keeper()
            progress(len(left))
            if all(slot.trouble is not Trouble.NONE for slot in left):
                return "the service refuses"
            if real.boot_seconds() > deadline:
                return "it takes too long"
            real.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return "interrupted"
    except StateError:
        raise
    except AGBError as error:
        return "the keeper is not started again" if process.keeper().given_up() else str(error)
    return ""


def _kept(process: JoinedRun, stopped: str) -> dict[str, str]:
    """What is kept, unless it has ended meanwhile: by its idle timeout, or because somebody deleted it."""
    kept = {}
    for slot in process.state.slots.kept():
        assert slot.session_id is not None
        if not stopped and _has_ended(process.client, slot.session_id):
            process.state.slots.gone(slot.slot, "it ended while it was kept")
        else:
            kept[slot.session_id] = slot.why_kept()
    return kept


def _has_ended(agb: Callable[[], AGB], session_id: str) -> bool:
    try:
        return agb().is_gone(session_id)
    except AGBError:
        return False  # nobody knows


def _listed(
    process: JoinedRun, settings: Settings, stopped: str, kept: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Ask the service itself whether anything of the run is left."""
    if stopped:
        return ()  # what is left is known, and the keeper is still at it
    if endpoint.find(run_directory.path(settings.run_id, settings.temp_directory), settings) is None:
        return ()  # a local server takes its sessions with it
    try:
        ownership = Ownership(settings.run_id)
        seen = roll_call(process.client(), settings.run_id, ownership, but_for=kept)
    except (AGBError, KeyboardInterrupt):
        return None
    return seen.told


def _wait_for_others(
    agb: AGB,
    settings: Settings,
    progress: Callable[[int], None],
    deadline: float,
    kept: Mapping[str, str],
) -> tuple[tuple[str, ...] | None, str]:
    """Wait for the keepers of other hosts: what the service still lists, and why we did not wait longer."""
    ownership = Ownership(settings.run_id)
    listed: tuple[str, ...] | None = None
    try:
        while True:
            seen = roll_call(agb, settings.run_id, ownership, but_for=kept)
            listed = seen.told
            if listed == ():
                return listed, ""
            if listed:
                progress(len(listed))
            if real.boot_seconds() > deadline:
                return listed, "it takes too long" if listed else ""
            real.sleep(_ASK_SECONDS)
    except KeyboardInterrupt:
        return listed, "interrupted"
    except AGBError:
        return None, ""
