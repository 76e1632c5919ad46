"""Whether a test failed, or its sandbox did, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_agb.client import AGBError, SessionLostError
from pytest_agb.settings import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_agb.client import Call
    from pytest_agb.dossier.journal import Journal, SessionFacts
    from pytest_agb.settings import Settings

LOST = "sandbox lost"
NONE = "no sandbox"

_AGAIN = (
    "Run the test again, by hand or with pytest-rerunfailures (--reruns 2 --only-rerun SessionLostError): "
    "what it tests was shown neither right nor wrong."
)


class Verdict(NamedTuple):
    """What a failure was."""

    #: ``sandbox lost``, ``no sandbox``, or ``setup failed``, ``test failed``, ``teardown failed``.
    kind: str
    #: In a sentence; empty where what pytest shows of the failure is all there is to say.
    why: str
    #: What to do.
    next: str


def judge(
    error: BaseException,
    phase: str,
    journal: Journal,
    sessions: Sequence[SessionFacts],
    calls: Sequence[Call],
    settings: Settings,
) -> Verdict:
    """Judge a failure, by its exception and by what became of the test's sessions and calls."""
    lost = _why_lost(error, sessions, calls)
    if lost:
        return Verdict(LOST, lost, _AGAIN)
    for refused in reversed(journal.refused):
        if refused.error.message in str(error):
            if isinstance(refused.error, SessionLostError):
                return Verdict(LOST, f"the service failed: {refused.error.headline}", _AGAIN)
            hint = refused.error.hint or "See what the service says above."
            return Verdict(NONE, refused.error.headline, f"{hint.rstrip('.')}.")
    kind = f"{'test' if phase == 'call' else phase} failed"
    return Verdict(kind, _last_failed(calls), _look_into_it(settings, phase) if sessions else "")


def _why_lost(error: BaseException, sessions: Sequence[SessionFacts], calls: Sequence[Call]) -> str:
    for facts in sessions:
        if facts.died:
            return (
                facts.died if facts.session_id in facts.died else f"{facts.died} (session {facts.session_id})"
            )
    for link in chain(error):
        if isinstance(link, SessionLostError):
            return link.headline
    latest = {call.session_id: call for call in calls}
    for call in latest.values():
        if isinstance(call.error, SessionLostError):
            return call.error.headline
    return ""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it came of, as far as pytest shows them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        suppressed = error.__suppress_context__
        error = error.__cause__ if suppressed or error.__cause__ is not None else error.__context__


def _last_failed(calls: Sequence[Call]) -> str:
    for number, call in reversed(list(enumerate(calls, 1))):
        if not call.success:
            said = AGBError(call.error_message).headline
            return f"the last call that failed is number {number} below: {said}"
    return ""


def _look_into_it(settings: Settings, phase: str) -> str:
    if settings.keep_failed and phase == "teardown":
        return ""
    if settings.keep_failed:
        return "Look into the sandbox: it is kept, and the end of the run says how to delete it."
    if settings.backend == LOCAL:
        return (
            "To look into a sandbox of this test, start `pytest-agb serve`, and run the test with "
            "--agb-keep-failed and the AGB_ENDPOINT and AGB_API_KEY that it prints."
        )
    return "To look into a sandbox of this test, run it with --agb-keep-failed."
