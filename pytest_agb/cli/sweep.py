"""What `pytest-agb ls` and `pytest-agb sweep` print."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Protocol

from pytest_agb.client import AGBError
from pytest_agb.environment import EnvironmentValueError, read_account
from pytest_agb.environment import ci_run as find_ci_run
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


_NO_CI_RUN = (
    "this is no job of a CI system that tells its run (GitHub Actions, GitLab CI, CircleCI, Buildkite, Azure "
    "Pipelines, Jenkins): name the run, --ci-run ID"
)
_NO_KEY = (
    "AGB_API_KEY is not set, as in a pull request from a fork: not looked for sessions of {} "
    "(--require-key makes that a failure)"
)


class _View(Protocol):
    def event(self, event: Event) -> None: ...

    def end(self, outcome: Outcome | None, trouble: str) -> None:
        """Say how it ended; without an ``outcome`` it was cut short by ``trouble``."""


def ls(arguments: argparse.Namespace) -> int:
    """List our sessions and return the exit status."""
    ci_run = _named_ci_run(arguments)
    view: _View = _JsonView() if arguments.json else _Table(_named(arguments.run_id, ci_run))
    if ci_run == "" and arguments.this_ci_run:
        view.end(None, _NO_CI_RUN)
        return 2
    status, outcome = _run(view, {"run": arguments.run_id, "ci_run": ci_run}, delete=False)
    return status if outcome is None else int(bool(outcome.left))


def sweep(arguments: argparse.Namespace) -> int:
    """Delete what should go and return the exit status."""
    ci_run = _named_ci_run(arguments)
    named = _named(arguments.run_id, ci_run)
    view: _View = _JsonView() if arguments.json else _Lines(named, dry_run=arguments.dry_run)
    if ci_run == "" and arguments.this_ci_run:
        view.end(None, _NO_CI_RUN)
        return 2
    selection = {"run": arguments.run_id, "ci_run": ci_run, "older_than_seconds": arguments.older_than}
    status, outcome = _run(
        view,
        selection,
        delete=not arguments.dry_run,
        without_key=_NO_KEY.format(named) if arguments.this_ci_run and not arguments.require_key else "",
    )
    return status if outcome is None else int(not outcome.clean)


def _named_ci_run(arguments: argparse.Namespace) -> str | None:
    """The CI run that is asked for; empty where it should be this job's, and this is none."""
    if not arguments.this_ci_run:
        named: str | None = arguments.ci_run
        return named
    return find_ci_run(os.environ) or ""


def _named(run: str | None, ci_run: str | None) -> str:
    """What was asked for by name, for people; empty where nothing was."""
    names = ((run, "run"), (ci_run, "CI run"))
    return " of ".join(f"{what} {_plain(name)}" for name, what in names if name is not None)


def _run(
    view: _View, selection: dict[str, str | float | None], *, delete: bool, without_key: str = ""
) -> tuple[int, Outcome | None]:
    """Sweep; where there is no key, say ``without_key`` if that is no failure."""
    try:
        try:
            chosen = Selection(**selection)  # type: ignore[arg-type]
            account = read_account()
            if without_key and account.api_key is None:
                view.end(None, without_key)
                return 0, None
            outcome = run_sweep(account, chosen, view.event, delete=delete)
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
    """A line for each session, in columns as wide as the first rows need."""

    _ROWS = 100

    def __init__(self, named: str) -> None:
        self._named = named
        self._listed = 0
        #: Those that wait for their widths.
        self._rows: list[list[str]] = [["ID", "RUN", "CI RUN", "SLOT", "AGE", "EXPIRES"]]
        self._widths: list[int] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Settled):
            if event.action is Action.LEFT:
                _complain(f"{_plain(event.session.session_id)}: {_plain(event.reason)}")
                return
            labels, now = event.session.labels, time.time()
            cells = (labels.run, labels.ci_run, labels.slot, _age(labels, now), _expiry(labels, now))
            self._rows.append([_plain(cell or "-") for cell in (event.session.session_id, *cells)])
            self._listed += 1
            if self._widths or self._listed == self._ROWS:
                self._print()

    def end(self, outcome: Outcome | None, trouble: str) -> None:
        if self._listed:
            self._print()
        if trouble:
            _complain(trouble)
        elif not self._listed:
            print(f"no sessions of {self._named or 'pytest-agb'}", file=sys.stderr)
        sys.stdout.flush()

    def _print(self) -> None:
        if not self._widths:
            self._widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
        for row in self._rows:
            padded = (cell.ljust(width) for cell, width in zip(row, self._widths, strict=True))
            print("  ".join(padded).rstrip())
        self._rows.clear()


class _Lines:
    """A line for each session that was deleted, or that its labels say too little of, and one at the end.

    On a terminal a bar stands for the deleted ones.
    """

    def __init__(self, named: str, *, dry_run: bool) -> None:
        self._named = named
        self._done = "would be deleted" if dry_run else "deleted"
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
            facts = [f"{sessions(deleted + self._would)} {self._done}", f"{self._kept} kept"]
            if outcome.left:
                facts.append(f"{len(outcome.left)} not deleted")
            if not outcome.finished:
                facts.append("more kept coming, run it again")
            if self._named and not (self._settled or outcome.left):
                print(f"no sessions of {self._named}")
            else:
                print((f"{self._named}: " if self._named else "") + ", ".join(facts))
        sys.stdout.flush()

    def _draw_bar(self) -> None:
        if self._bar and time.monotonic() - self._drawn_at >= _BAR_SECONDS:
            self._drawn_at = time.monotonic()
            of = max(self._expected, self._settled, 1)
            full = _BAR_WIDTH * self._settled // of
            bar = "#" * full + "-" * (_BAR_WIDTH - full)
            done = f"{self._deleted + self._would} {self._done}"
            sys.stderr.write(f"\r\x1b[K[{bar}] {self._settled} of {of}, {done}")
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
