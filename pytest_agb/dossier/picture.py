"""A test's dossier as plain values for JSON: masked, and of bounded size.

This is what all places show, each in its way. Its form is documented in docs/dossier.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_agb.dossier import verdict
from pytest_agb.wall_clock import wall_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_agb.client import Call
    from pytest_agb.dossier.journal import Journal, Refused, SessionFacts
    from pytest_agb.dossier.masking import Mask
    from pytest_agb.settings import Settings

#: Characters that are left of a stream, a program or an argument: its beginning and its end.
MOST_CHARACTERS = 4096
#: Of the tests that used a shared session before.
_MOST_EARLIER = 5


def of_failure(
    journal: Journal,
    settings: Settings,
    *,
    error: BaseException,
    phase: str,
    shared: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe what the test that runs now did with its sessions, now that it has failed.

    Args:
        journal: What was kept of it.
        settings: Of the run.
        error: What it failed with.
        phase: In which part: ``setup``, ``call`` or ``teardown``.
        shared: IDs of the sessions that it shares with other tests, used by it or not.
    """
    mask = journal.mask
    calls, sessions = journal.all_calls(), journal.sessions(shared)
    judged = verdict.judge(error, phase, journal, sessions, calls, settings)
    numbered = list(enumerate(calls, 1))
    shown = numbered[-settings.dossier_calls :]
    known = {facts.session_id for facts in sessions}
    return {
        "test": journal.test,
        "phase": phase,
        "run": journal.run_id,
        "backend": settings.backend,
        "verdict": judged.kind,
        "why": mask.text(judged.why),
        "next": mask.text(judged.next),
        "sessions": [_session(facts, mask) for facts in sessions],
        "refused": [_refused(refused, mask) for refused in journal.refused],
        "calls_left_out": len(calls) - len(shown),
        "calls": [_call(number, call, mask, foreign=call.session_id not in known) for number, call in shown],
    }


def _refused(refused: Refused, mask: Mask) -> dict[str, Any]:
    return {
        "headline": mask.text(refused.error.headline),
        "error": mask.text(str(refused.error)),
        "waited_seconds": _rounded(refused.waited),
    }


def _session(facts: SessionFacts, mask: Mask) -> dict[str, Any]:
    earlier = list(facts.earlier.items())
    return {
        "id": facts.session_id,
        "image": facts.image,
        "labels": mask.value(dict(facts.labels)),
        "age_seconds": _rounded(max(0.0, wall_seconds() - facts.created_at)),
        "uses": facts.uses,
        "waited_seconds": _rounded(facts.waited),
        "died": mask.text(facts.died),
        "earlier": [{"test": test, "calls": number} for test, number in earlier[-_MOST_EARLIER:]],
        "earlier_left_out": max(0, len(earlier) - _MOST_EARLIER),
    }


def _call(number: int, call: Call, mask: Mask, *, foreign: bool) -> dict[str, Any]:
    return {
        "number": number,
        "session": call.session_id,
        "leased": not foreign,
        "phase": call.phase,
        "began_seconds": _rounded(call.began),
        "seconds": _rounded(call.seconds),
        "kind": call.kind,
        "tool": call.tool,
        "args": _bounded(mask.value(call.args)),
        "success": call.success,
        "exit_code": call.exit_code,
        "error": bounded(mask.text(call.error_message)),
        "request_id": mask.text(call.request_id),
        "stdout": bounded(mask.text(call.stdout)),
        "stderr": bounded(mask.text(call.stderr)),
    }


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return bounded(value)
    if isinstance(value, dict):
        return {bounded(key): _bounded(item) for key, item in value.items()}
    if isinstance(value, list):
        some = [_bounded(item) for item in value[:100]]
        return [*some, f"... {len(value) - 100} more ..."] if len(value) > 100 else some
    return value


def bounded(text: str, most: int = MOST_CHARACTERS) -> str:
    """The beginning and the end of a text, and how much is left out between them."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters ...\n{text[-half:]}"


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
