from __future__ import annotations

import dataclasses
import pickle

import pytest

from pytest_agb import AGBError, CodeExecutionResult, NotFoundError, Result
from pytest_agb.client import (
    CommandResult,
    ExecutionError,
    ExecutionLogs,
    FileContentResult,
    FileSearchResult,
)

#: As much of a repr as pytest shows in a failed assertion.
SHOWN = 240


def test_a_good_result_checks_to_itself() -> None:
    result = Result(True)

    assert result.check() is result


def test_a_failed_result_raises_its_error() -> None:
    error = NotFoundError("Session s-1 is gone", request_id="R-1")
    result = Result.failed(error)

    with pytest.raises(NotFoundError) as caught:
        result.check()

    assert caught.value is error
    assert result.request_id == "R-1"


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Result(True).success = False  # type: ignore[misc]


def test_a_long_traceback_shows_its_last_line() -> None:
    lines = "\n".join(f'  File "cell", line {number}, in f' for number in range(100))
    error = ExecutionError(f"Traceback (most recent call last):\n{lines}\nKeyError: 'x'", request_id="R-1")

    shown = repr(CodeExecutionResult.failed(error))

    assert "KeyError: 'x'" in shown
    assert "R-1" in shown
    assert len(shown) < SHOWN


def test_a_long_output_is_cut() -> None:
    result = CommandResult(True, output="begin" + "x" * 10_000 + "end", exit_code=0)

    assert len(repr(result)) < SHOWN
    assert "begin" in repr(result)
    assert "end" in repr(result)


def test_a_long_list_is_cut() -> None:
    shown = repr(FileSearchResult(True, matches=[f"/{number}" for number in range(100)]))

    assert "'/7', '... 92 more'" in shown


def test_what_a_failed_program_printed_is_shown() -> None:
    error = ExecutionError("exited with 1")

    shown = repr(CodeExecutionResult.failed(error, logs=ExecutionLogs(stderr=["out of memory\n"])))

    assert "out of memory" in shown


def test_a_file_shows_its_content() -> None:
    assert (
        repr(FileContentResult(True, content="hello")) == "FileContentResult(success=True, content='hello')"
    )


def test_a_failed_assertion_says_what_went_wrong(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_agb import NotFoundError, Result

        def test_it():
            result = Result.failed(NotFoundError("Session s-1 is gone", request_id="R-1"))
            assert result.success
        """
    )

    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    outcome.stdout.fnmatch_lines(["*Session s-1 is gone*R-1*"])


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("gone", request_id="R-1", code="C", http_status=404, hint="look", maybe_executed=True),
        ExecutionError("bad", name="KeyError", traceback="Traceback ..."),
    ],
)
def test_errors_can_be_sent_between_processes(error: AGBError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = NotFoundError(
        "Session s-1 is gone", request_id="R-1", code="C", http_status=404, hint="Make another"
    )

    assert str(error) == "Session s-1 is gone (HTTP 404, code C, request ID R-1). Make another"
