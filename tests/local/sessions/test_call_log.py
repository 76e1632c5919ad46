"""What is remembered of a session's calls is bounded, whatever they are."""

from __future__ import annotations

from pytest_agb.local.sessions.call_log import ALL_CHARACTERS, CALLS, CallLog


def characters(history: CallLog) -> int:
    return sum(
        len(entry.tool) + len(entry.answer) + sum(map(len, (*entry.arguments, *entry.arguments.values())))
        for entry in history.entries
    )


def test_long_calls_are_forgotten_before_many_are() -> None:
    history = CallLog()
    for number in range(100):
        entry = history.begins("shell", {"command": f"{number} " + "x" * 10_000})
        history.ends(entry, True, "y" * 10_000)
        assert characters(history) <= ALL_CHARACTERS

    assert 5 < len(history.entries) < 20
    assert history.entries[-1].arguments["command"].startswith("99 ")


def test_short_calls_are_all_remembered_up_to_a_number() -> None:
    history = CallLog()
    for number in range(CALLS + 7):
        history.ends(history.begins("shell", {"command": str(number)}), True, "")

    assert [entry.arguments["command"] for entry in history.entries] == [str(n) for n in range(7, CALLS + 7)]


def test_what_ends_after_it_was_forgotten_counts_no_more() -> None:
    history = CallLog()
    for _ in range(300):
        slow = history.begins("run_code", {"code": "x" * 1000})
        for _ in range(CALLS):
            history.ends(history.begins("shell", {"command": "y"}), True, "z")
        history.ends(slow, True, "x" * 2000)

    assert slow not in history.entries
    assert len(history.entries) == CALLS


def test_one_call_alone_is_cut_and_remembered() -> None:
    history = CallLog()
    nested = [["x" * 9000] * 1000] * 1000
    history.begins("t" * 10_000, {f"{n}" * 5000: nested for n in range(30)})

    assert len(history.entries) == 1
    assert characters(history) < 50_000
