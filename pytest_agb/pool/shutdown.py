"""The end of a run: wait until the service has accepted each release, and see what became of all sessions."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from json import loads
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
    from collections.abc import Callable, Mapping, Sequence

    from pytest_agb.settings import Settings
    from pytest_agb.store.history import Cost

#: Seconds to wait for the keeper at the most, and without any progress. It goes on after that.
DRAIN_SECONDS = 60.0
PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.05
#: Between two questions to the service.
_ASK_SECONDS = 0.5


@dataclass(frozen=True)
class Summary:
    """What became of the run's sessions on this host, as far as that was seen."""

    created: int
    #: Seen gone.
    deleted: int
    #: Known to be there.
    left: tuple[Slot, ...] = ()
    #: Of which the release is accepted, and which were not yet seen gone: the keeper looks on.
    released: tuple[Slot, ...] = ()
    #: Creates without an answer: there may be a session of each.
    unanswered: tuple[Slot, ...] = ()
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
    #: How many sessions the account had room for, where that is known.
    level: int | None = None
    #: The end of what the keeper printed: nothing, unless it failed.
    keeper_log: str = ""
    #: Whether the keeper died so often that it was not started again: nobody deletes what is left.
    keeper_given_up: bool = False
    #: That the keeper is stopped, and how it goes on; empty if it is not.
    keeper_still: str = ""
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
    used: bool = False,
    removed: bool = False,
    kept: Mapping[str, str] | None = None,
) -> Summary | None:
    """Wait until the service has accepted the release of all sessions and, for a while, until they are gone.

    ``progress`` is told how many are not.

    With ``used`` it is known that the run had sessions here; with ``removed``, that somebody has removed its
    directory, though there may be another by now. With ``elsewhere`` remote workers had some too: wait until
    the service lists none of the run but what they have ``kept``, session IDs and what for.

    Returns:
        What became of the sessions; ``None`` if the run created none.
    """
    here = None
    run = run_directory.path(settings.run_id, settings.temp_directory)
    what = f"the run's directory {run} was removed as it went on"
    is_there = run_directory.exists(settings.run_id, settings.temp_directory)
    if is_there:
        here = _drain_here(settings, progress)
    if removed and here is not None:
        note = f"{what}: what was created before is not counted here, and deleted all the same"
        here = replace(here, notes=(*here.notes, note))
    elif removed or (used and not is_there):
        here = Summary(0, 0, unknown=what)
    if here is not None and here.unknown and settings.outlives_run and not here.stopped:
        return _ask_the_service(here, settings, progress, kept or {})
    if not elsewhere:
        return here
    summary = replace(here or Summary(0, 0), elsewhere=True)
    if summary.unknown:
        return summary
    if not settings.outlives_run or summary.stopped or summary.listed is None:
        return replace(summary, kept={**summary.kept, **(kept or {})})
    agb = AGB(settings.api_key, settings.endpoint, settings.timeout_seconds)
    try:
        there = {name: why for name, why in (kept or {}).items() if not _has_ended(lambda: agb, name)}
        there.update(summary.kept)
        listed, stopped = _wait_for_others(agb, settings, progress, there)
    finally:
        agb.close()
    return replace(summary, listed=listed, stopped=stopped, kept=there)


def _ask_the_service(
    summary: Summary, settings: Settings, progress: Callable[[int], None], kept: Mapping[str, str]
) -> Summary:
    """What the service lists of a run whose state can't be read; the keeper, if it lives, still deletes."""
    try:
        agb = AGB(settings.api_key, settings.endpoint, settings.timeout_seconds)
    except AGBError:
        return replace(summary, listed=None)
    try:
        listed, stopped = _wait_for_others(agb, settings, progress, kept)
    finally:
        agb.close()
    return replace(summary, listed=listed, stopped=stopped, kept=kept)


def _drain_here(settings: Settings, progress: Callable[[int], None]) -> Summary | None:
    try:
        process = JoinedRun(settings, members.Role.REPORTER, begin=False)
    except RunIsOverError:  # the keeper was just leaving
        return None
    except (OSError, StateError) as error:
        return Summary(0, 0, unknown=str(error))
    try:
        try:
            return _sum_up(process, settings, progress)
        finally:
            with suppress(OSError):  # then the keeper lingers for a moment
                keeper_process.report(run_directory.path(settings.run_id, settings.temp_directory))
            process.leave()
    except (OSError, StateError) as error:
        return Summary(0, 0, unknown=str(error))


def _sum_up(process: JoinedRun, settings: Settings, progress: Callable[[int], None]) -> Summary | None:
    stopped = _wait(process, progress, settings.end_timeout)
    kept = _kept(process, stopped)
    listed = _listed(process, settings, stopped)
    slots = process.state.slots
    count, left = slots.count(), [slot for slot in slots.left() if _may_be_there(slot, listed)]
    keeper = process.keeper()
    if not count.created and not left and not keeper.given_up():
        return None
    told = process.state.facts
    times, level = told.get(Fact.TIMES), told.get(Fact.LEVEL)
    return Summary(
        count.created,
        count.deleted,
        left=tuple(slot for slot in left if slot.session_id is not None and not slot.accepted),
        released=tuple(slot for slot in left if slot.accepted),
        unanswered=tuple(slot for slot in left if slot.session_id is None),
        kept=kept,
        stopped=stopped,
        listed=listed,
        depth=told.get(Fact.DEPTH),
        times=tuple(loads(times)) if times else None,
        level=int(level) if level else None,
        cost=history.read(process.state.database),
        keeper_log=keeper.log_tail(),
        keeper_given_up=keeper.given_up(),
        keeper_still=keeper.standstill(),
        notes=tuple(aside.take_notes(settings.temp_directory)),
    )


def _may_be_there(slot: Slot, listed: Sequence[str] | None) -> bool:
    """Whether a session of ``slot`` may be there, when the service still lists so much of the run.

    There is none of a create that was refused, nor of one without an answer where neither a look for its slot
    label nor a listing of the run shows one. The keeper looks on all the same.
    """
    if slot.state is not SlotState.LOST:
        return True
    return slot.trouble is not Trouble.REFUSED and not (slot.trouble is Trouble.ABSENT and listed == ())


def _wait(process: JoinedRun, progress: Callable[[int], None], end_timeout: float) -> str:
    """Wait for what is still to come; say why it was not waited for longer, or "" where all was accepted."""
    patience = _Patience()
    accepted_at: float | None = None
    try:
        while left := [slot for slot in process.state.slots.left() if slot.state is not SlotState.LOST]:
            process.ensure_keeper()
            if process.keeper().standstill():
                return "the keeper stands still"
            progress(len(left))
            open = [slot for slot in left if not slot.accepted]
            if open and all(slot.trouble is not Trouble.NONE for slot in open):
                return "the service refuses"
            if open and (why := patience.ends([(slot.slot, slot.state) for slot in open])):
                return why
            if not open:
                accepted_at = accepted_at or real.boot_seconds()
                if real.boot_seconds() - accepted_at >= end_timeout:
                    return ""
            real.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return "interrupted"
    except StateError:
        raise
    except AGBError as error:
        return "the keeper is not started again" if process.keeper().given_up() else str(error)
    return ""


class _Patience:
    """How long to wait for what makes progress now and then."""

    def __init__(self) -> None:
        self._end = real.boot_seconds() + DRAIN_SECONDS
        self._changed_at = real.boot_seconds()
        self._seen: object = None

    def ends(self, now: object) -> str:
        """Say why to wait no longer, where things are as ``now`` says; empty if it is worth while."""
        if now != self._seen:
            self._seen, self._changed_at = now, real.boot_seconds()
        if real.boot_seconds() - self._changed_at > PATIENCE_SECONDS:
            return f"nothing has changed for {PATIENCE_SECONDS:g} s"
        return "it takes too long" if real.boot_seconds() > self._end else ""


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


def _listed(process: JoinedRun, settings: Settings, stopped: str) -> tuple[str, ...] | None:
    """Ask the service itself whether anything of the run is there that nobody remembered."""
    if stopped:
        return ()  # what is left is known, and the keeper is still at it
    if endpoint.find(run_directory.path(settings.run_id, settings.temp_directory), settings) is None:
        return ()  # a local server takes its sessions with it
    try:
        ownership = Ownership(settings.run_id)
        # Of those that are known a listing says nothing new: it may show what is gone, or about to be.
        seen = roll_call(process.client(), settings.run_id, ownership, but_for=process.state.slots.known())
    except (AGBError, KeyboardInterrupt):
        return None
    return seen.told


def _wait_for_others(
    agb: AGB,
    settings: Settings,
    progress: Callable[[int], None],
    kept: Mapping[str, str],
) -> tuple[tuple[str, ...] | None, str]:
    """Wait for the keepers of other hosts: what the service still lists, and why we did not wait longer."""
    ownership = Ownership(settings.run_id)
    listed: tuple[str, ...] | None = None
    patience = _Patience()
    try:
        while True:
            seen = roll_call(agb, settings.run_id, ownership, but_for=kept)
            listed = seen.told
            if listed == ():
                return listed, ""
            if listed:
                progress(len(listed))
            if why := patience.ends(listed):
                return listed, why if listed else ""
            real.sleep(_ASK_SECONDS)
    except KeyboardInterrupt:
        return listed, "interrupted"
    except AGBError:
        return None, ""
