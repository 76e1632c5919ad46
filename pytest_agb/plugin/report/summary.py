"""The last lines of a run: what became of its sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.plugin.report import cost_lines
from pytest_agb.plugin.stash import JOB_SUMMARY
from pytest_agb.wording import sessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_agb.pool.shutdown import Summary
    from pytest_agb.settings import Settings


class SummaryReport:
    """A plugin of the controller, at the end of a run that used sessions."""

    def __init__(self, summary: Summary, settings: Settings) -> None:
        self.summary = summary
        self._settings = settings

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Say what became of the run's sessions."""
        said = lines(self.summary, self._settings, verbosity=config.get_verbosity())
        if self.summary.cost is not None:
            said[:0] = cost_lines.lines(self.summary.cost, verbosity=config.get_verbosity())
        failures = [*terminalreporter.stats.get("failed", ()), *terminalreporter.stats.get("error", ())]
        if failures:
            from pytest_agb.plugin.report import verdicts  # only where a test has failed: start-up time

            said[:0] = verdicts.lines(failures)
        if JOB_SUMMARY in config.stash:
            from pytest_agb.plugin.outlets import github  # as above

            said += github.tell(config.stash[JOB_SUMMARY], failures, said, self._left())
        for line in said:
            terminalreporter.write_line(line)

    def _left(self) -> str:
        """What is left behind, and what deletes it; empty if nothing is."""
        left = self.summary.left_behind
        command = f"to delete what is left: pytest-agb sweep --run {self._settings.run_id}"
        return f"{sessions(len(left))} may be left: {', '.join(left)}; {command}" if left else ""


def lines(summary: Summary, settings: Settings, *, verbosity: int = 0) -> list[str]:
    """Say what became of the run's sessions: one line, and one for each that is left or may be there.

    *Deleted* were seen gone; *released* are those whose release was accepted; *unanswered* are creates.
    With ``-vv`` also how many were created ahead of demand, and why.
    """
    sweep = f"pytest-agb sweep --run {settings.run_id}"
    if summary.unknown:
        return list(_unknown(summary, settings, sweep))
    left = {slot.session_id or "": slot.note or slot.state.value for slot in summary.left}
    left.update(dict.fromkeys(summary.listed or (), "still listed by the service"))
    facts = _facts(summary, len(left), settings)
    said = [f"agb: {', '.join(facts)}"]
    if verbosity >= 2 and summary.depth:
        said.append(f"agb: {summary.depth}")
    if summary.keeper_log or summary.keeper_given_up:
        given_up = summary.keeper_given_up
        became = "died too often and was not started again" if given_up else "failed and was replaced"
        said.append(f"agb: the keeper {became}; its log ends with:\n{summary.keeper_log or 'nothing'}")
    if summary.keeper_still:
        said.append(f"agb: {summary.keeper_still}")
    said += [f"agb: session {name} is kept: {why}" for name, why in summary.kept.items()]
    said += [f"agb: session {name} is left: {note}" for name, note in left.items()]
    said += [
        f"agb: a session of slot {slot.slot} may be there: {slot.note or 'its create is under way'}"
        for slot in summary.unanswered
    ]
    perhaps = left or summary.unanswered
    if perhaps or summary.kept:
        what = [*["is kept"] * bool(summary.kept), *["is left"] * bool(left)]
        what += ["may be there"] * bool(summary.unanswered)
        life = f" (without a call each ends after {settings.idle_timeout} s)" if perhaps else ""
        said.append(f"agb: to delete what {' or '.join(what)}: {sweep}{life}")
    said += [f"agb: {note}" for note in summary.notes]
    return said


def _facts(summary: Summary, left: int, settings: Settings) -> Iterator[str]:
    if summary.created or summary.unanswered or not summary.elsewhere:
        yield f"{sessions(summary.created)} created" + (" on this host" if summary.elsewhere else "")
        yield f"{summary.deleted} deleted"
        if summary.released:
            yield f"{len(summary.released)} released"
        if summary.unanswered:
            yield f"{len(summary.unanswered)} unanswered"
    if summary.elsewhere:
        yield "remote workers had sessions of their own"
    if not summary.elsewhere or (settings.outlives_run and summary.listed is not None):
        yield f"{len(summary.kept)} kept"
        yield f"{left} left"
    if summary.listed is None:
        yield "the service could not be asked whether any is left"
    if summary.stopped:
        rest = "it is deleted in the background"
        if summary.keeper_given_up or summary.keeper_still:
            rest = "nothing deletes it" + (" until the keeper goes on" if summary.keeper_still else "")
        yield f"did not wait for the rest ({summary.stopped}); {rest}"


def _unknown(summary: Summary, settings: Settings, sweep: str) -> Iterator[str]:
    """What can be said of a run whose state can't be read: what the service lists."""
    yield f"agb: what became of the run's sessions is not known here: {summary.unknown}"
    if not settings.outlives_run:
        return  # they end with the local server
    if summary.listed == ():
        kept = f", but for {len(summary.kept)} kept" if summary.kept else ""
        yield f"agb: the service lists none of them any more{kept}"
        return
    if summary.listed is None:
        yield "agb: the service could not be asked whether any is left"
    for name in summary.listed or ():
        yield f"agb: session {name} is left: still listed by the service"
    yield f"agb: to delete what may be left: {sweep}"
