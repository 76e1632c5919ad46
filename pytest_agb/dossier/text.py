"""A dossier as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_agb.client import Call

_HEADLINES = {
    "sandbox lost": "The sandbox was lost; the test was not judged",
    "no sandbox": "A session could not be had",
    "setup failed": "The setup failed; the sandbox was there",
    "test failed": "The test failed; its sandbox was there",
    "teardown failed": "The teardown failed",
}
#: What an argument is called where it has lines of its own.
_LONG = ("command", "code", "content")
#: What a terminal would obey rather than show.
_CONTROLS = {
    number: f"\\x{number:02x}" for number in [*range(32), *range(127, 160)] if chr(number) not in "\n\t"
}


def render(dossier: Mapping[str, Any]) -> str:
    """Render a dossier as `picture` makes one."""
    shown = "\n".join(_lines(dossier)).translate(_CONTROLS)
    return shown.encode("utf-8", "backslashreplace").decode()  # half a character can't be sent nor written


def _lines(dossier: Mapping[str, Any]) -> Iterator[str]:
    headline = _HEADLINES[dossier["verdict"]]
    if dossier["verdict"] in ("setup failed", "test failed") and not dossier["sessions"]:
        headline = headline.partition(";")[0]
    yield f"{headline}: {dossier['why']}" if dossier["why"] else f"{headline}."
    if dossier["next"]:
        yield f"Next: {dossier['next']}"
    for refused in dossier["refused"]:
        told = "" if refused["headline"] == dossier["why"] else f": {refused['headline']}"
        yield f"no session after {refused['waited_seconds']:g} s{told}"
    for session in dossier["sessions"]:
        yield from _session(session, dossier)
    if dossier["calls_left_out"]:
        yield f"{dossier['calls_left_out']} earlier calls of this test left out (agb_dossier_calls)"
    several = len({call["session"] for call in dossier["calls"]} | {s["id"] for s in dossier["sessions"]}) > 1
    for call in dossier["calls"]:
        yield from _call(call, name_session=several)
    if dossier["sessions"] and not dossier["calls"]:
        yield "no calls"


def _session(session: Mapping[str, Any], dossier: Mapping[str, Any]) -> Iterator[str]:
    facts = [
        f"image {session['image']}",
        dossier["backend"],
        f"run {dossier['run']}",
        f"{session['age_seconds']:g} s old",
        f"use {session['uses']}",
        f"waited for {session['waited_seconds']:g} s",
    ]
    if session["labels"]:
        facts.append("labels " + ", ".join(f"{key}={value}" for key, value in session["labels"].items()))
    yield f"session {session['id']}: {', '.join(facts)}"
    if session["died"]:
        yield f"    ended: {session['died']}"
    if session["earlier"]:
        others = f" and {session['earlier_left_out']} tests before" if session["earlier_left_out"] else ""
        by = ", ".join(f"{_calls(item['calls'])} by {item['test']}" for item in session["earlier"])
        yield f"    earlier: {by}{others}"


def _calls(number: int) -> str:
    return f"{number} call" + "s" * (number != 1)


def _call(call: Mapping[str, Any], *, name_session: bool) -> Iterator[str]:
    args = dict(call["args"])
    long = {name: args.pop(name) for name in _LONG if isinstance(args.get(name), str)}
    what = call["kind"] if call["kind"] in ("command", "code") else call["tool"]
    given = ", ".join(f"{name}={_value(value)}" for name, value in args.items())
    facts = [
        _end(call),
        f"{call['seconds']:g} s",
        f"request ID {call['request_id']}" * bool(call["request_id"]),
    ]
    where = f" in {call['session']}" if name_session else ""
    phase = f" ({call['phase']})" if call["phase"] not in ("", "call") else ""
    told = f" ({given})" if given else ""
    yield f"{call['number']:4}. {what}{where}{told}{phase}: {', '.join(fact for fact in facts if fact)}"
    for name, text in long.items():
        yield from _block(name, text)
    for name in ("stdout", "stderr"):
        yield from _block(name, call[name])
    first, _, more = call["error"].partition("\n")
    if call["kind"] != "command" or call["exit_code"] is None:
        yield from _block("error", call["error"] if more or not first else "")


def _end(call: Mapping[str, Any]) -> str:
    if call["success"]:
        return "exit status 0" if call["exit_code"] == 0 else "done"
    if call["exit_code"] is not None:
        return f"exit status {call['exit_code']}"
    text = call["error"].strip()
    if text.startswith("Traceback "):
        text = text.rpartition("\n")[2]
    return f"failed: {text.partition(chr(10))[0][:300]}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) and value.isprintable() and len(value) < 200 else repr(value)


def _block(name: str, text: str) -> Iterator[str]:
    text = text.removesuffix("\n")
    if text:
        for number, line in enumerate(text.split("\n")):
            yield f"      {'' if number else name:>7} | {line}"


def one_line(call: Call) -> str:
    """A call in one line, for a log. Its output is left out."""
    what = (call.command or call.code or call.path).replace("\n", "\\n")
    end = "done" if call.success else f"failed: {call.error_message.partition(chr(10))[0]}"
    status = "" if call.exit_code is None else f", exit status {call.exit_code}"
    return f"{call.tool} {what[:500]!r}: {end}{status}, {call.seconds:.3f} s, request ID {call.request_id}"
