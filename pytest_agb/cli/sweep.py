"""What `pytest-agb ls` and `pytest-agb sweep` print."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Protocol

from pytest_agb.client import AGBError
from pytest_agb.environment import EnvironmentValueError, read_account
from pytest_agb.sweep.outcome import Action, Event, Expected, Outcome, Settled
from pytest_agb.sweep.selection import Selection, SelectionError
from pytest_agb.sweep.sweeper import sweep as run_sweep
from pytest_agb.wording import sessions

if TYPE_CHECKING:
    import argparse

    from pytest_agb.labels import RunLabels

#: Columns of the bar, without its brackets.
_BAR_WIDTH = 24
#: Seconds between two drawings of the bar.
_BAR_SECONDS = 0.1


class _View(Protocol):
    def event(self, event: Event) -> None: ...

    def end(self, outcome: Outcome | None, trouble: str) -> None:
        """Say how it ended; without an ``outcome`` it was cut short by ``trouble``."""


def ls(arguments: argparse.Namespace) -> int:
    """List our sessions and return the exit status."""
    view: _View = _JsonView() if arguments.json else _Table()
    selection = {"run": arguments.run_id, "ci_run": arguments.ci_run}
    status, outcome = _run(view, selection, delete=False)
    return status if outcome is None else int(bool(outcome.left))


def sweep(arguments: argparse.Namespace) -> int:
    """Delete what should go and return the exit status."""
    view: _View = _JsonView() if arguments.json else _Lines()
    selection = {
        "run": arguments.run_id,
        "ci_run": arguments.ci_run,
        "older_than_seconds": arguments.older_than,
    }
    status, outcome = _run(view, selection, delete=not arguments.dry_run)
    return status if outcome is None else int(not outcome.clean)


def _run(
    view: _View, selection: dict[str, str | float | None], *, delete: bool
) -> tuple[int, Outcome | None]:
    try:
        try:
            chosen = Selection(**selection)  # type: ignore[arg-type]
            outcome = run_sweep(read_account(), chosen, view.event, delete=delete)
        except KeyboardInterrupt:
            view.end(None, "interrupted")
            return 130, None
        except (AGBError, EnvironmentValueError, SelectionError) as error:
            view.end(None, _plain(str(error)))
            return 2, None
        view.end(outcome, "")
    except BrokenPipeError:  # `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1, None
    return 0, outcome


class _JsonView:
    """One JSON object, written as it goes: tens of thousands of sessions are never held."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(Action, 0)
        self._begun = False

    def event(self, event: Event) -> None:
        if isinstance(event, Settled):
            self._counts[event.action] += 1
            session, labels = event.session, event.session.labels
            self._write(
                ",\n" if self._begun else '{"sessions": [\n',
                json.dumps(
                    {
                        "id": session.session_id,
                        "run": labels.run,
                        "ci_run": labels.ci_run,
                        "slot": labels.slot,
                        "created_at": labels.created,
                        "expires_at": labels.expires,
                        "age_seconds": _whole(labels.age_seconds(time.time())),
                        "action": event.action.value,
                        "reason": event.reason,
                    }
                ),
            )
            self._begun = True

    def end(self, outcome: Outcome | None, trouble: str) -> None:
        if trouble:
            _complain(trouble)
        if not self._begun:
            self._write('{"sessions": [')
        summary = {
            "deleted": outcome.deleted if outcome else self._counts[Action.DELETED],
            "kept": self._counts[Action.KEPT],
            "would_delete": self._counts[Action.WOULD_DELETE],
            "left": self._counts[Action.LEFT],
            "finished": outcome is not None and outcome.finished,
            "error": trouble or None,
        }
        self._write("],\n", json.dumps(summary)[1:], "\n")
        sys.stdout.flush()

    def _write(self, *parts: str) -> None:
        sys.stdout.write("".join(parts))


class _Table:
    """A line for each session."""

    def __init__(self) -> None:
        self._lines = 0

    def event(self, event: Event) -> None:
        if isinstance(event, Settled):
            if event.action is Action.LEFT:
                _complain(f"{_plain(event.session.session_id)}: {_plain(event.reason)}")
                return
            if not self._lines:
                self._print("ID", "RUN", "CI RUN", "SLOT", "AGE", "EXPIRES")
            labels, now = event.session.labels, time.time()
            self._print(
                event.session.session_id,
                labels.run,
                labels.ci_run,
                labels.slot,
                _age(labels, now),
                _expiry(labels, now),
            )
            self._lines += 1

    def end(self, outcome: Outcome | None, trouble: str) -> None:
        if trouble:
            _complain(trouble)
        elif not self._lines:
            print("no sessions of pytest-agb", file=sys.stderr)
        sys.stdout.flush()

    def _print(self, *cells: str | None) -> None:
        widths = (28, 24, 24, 16, 8, 0)
        print("  ".join(_plain(cell or "-").ljust(width) for cell, width in zip(cells, widths, strict=True)))


class _Lines:
    """A line for each session that was deleted, or that its labels say too little of, and one at the end.

    On a terminal a bar stands for the deleted ones.
    """

    def __init__(self) -> None:
        self._deleted = self._kept = self._would = self._settled = self._expected = 0
        self._bar = sys.stderr.isatty()
        self._silent = self._bar and sys.stdout.isatty()
        self._drawn_at = 0.0

    def event(self, event: Event) -> None:
        if isinstance(event, Expected):
            self._expected = event.count
        elif event.action is Action.LEFT:
            self._clear_bar()
            _complain(f"not deleted: {_plain(event.session.session_id)}: {_plain(event.reason)}")
        else:
            self._settled += 1
            self._deleted += event.action is Action.DELETED
            self._kept += event.action is Action.KEPT
            self._would += event.action is Action.WOULD_DELETE
            if event.action is Action.KEPT:
                shown = event.undecided
            else:
                shown = event.action is Action.WOULD_DELETE or not self._silent
            if shown:
                self._clear_bar()
                run = event.session.labels.run
                of = f" (run {_plain(run)})" if run else ""
                why = f": {_plain(event.reason)}" if event.reason else ""
                print(f"{event.action.value} {_plain(event.session.session_id)}{of}{why}")
        self._draw_bar()

    def end(self, outcome: Outcome | None, trouble: str) -> None:
        self._clear_bar()
        deleted = self._deleted if outcome is None else outcome.deleted
        if trouble:
            _complain(trouble + (f"; {sessions(deleted)} deleted before" if deleted or self._settled else ""))
        if outcome is not None:
            facts = [f"{sessions(deleted)} deleted", f"{self._kept} kept"]
            if self._would:
                facts[0] = f"{sessions(self._would)} would be deleted"
            if outcome.left:
                facts.append(f"{len(outcome.left)} not deleted")
            if not outcome.finished:
                facts.append("more kept coming, run it again")
            print(", ".join(facts))
        sys.stdout.flush()

    def _draw_bar(self) -> None:
        if self._bar and time.monotonic() - self._drawn_at >= _BAR_SECONDS:
            self._drawn_at = time.monotonic()
            of = max(self._expected, self._settled, 1)
            full = _BAR_WIDTH * self._settled // of
            bar = "#" * full + "-" * (_BAR_WIDTH - full)
            sys.stderr.write(f"\r\x1b[K[{bar}] {self._settled} of {of}, {self._deleted} deleted")
            sys.stderr.flush()

    def _clear_bar(self) -> None:
        if self._bar and self._drawn_at:
            self._drawn_at = 0.0
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _complain(message: str) -> None:
    sys.stdout.flush()
    print(f"pytest-agb: {message}", file=sys.stderr, flush=True)


def _plain(text: str) -> str:
    """One line that does nothing to a terminal, whatever a label or an answer holds."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _age(labels: RunLabels, now: float) -> str:
    age = labels.age_seconds(now)
    return "?" if age is None else _short(age)


def _expiry(labels: RunLabels, now: float) -> str:
    if labels.expires is None:
        return "?"
    left = labels.expires - now
    return f"in {_short(left)}" if left >= 0 else f"{_short(-left)} ago"


def _short(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
