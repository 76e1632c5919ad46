"""A hook of the project that fails is named as that hook, with its own error first."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.standin import StandIn

#: What pip says, for example: long, on many lines, with the reason far from either end.
LONG = "'can\\'t prepare ' + 'x' * 2000 + '\\n' + 'line\\n' * 50 + 'the end'"


@pytest.mark.parametrize(
    ("hook", "error", "use"),
    [
        ("params", "AGBError", "agb_session"),
        ("params", "RuntimeError", "agb_session_factory"),
        ("ready", "RuntimeError", "agb_session"),
        ("ready", "AGBError", "agb_session_factory"),
    ],
)
def test_one_that_a_lease_needs(
    pytester: pytest.Pytester, cloud: StandIn, hook: str, error: str, use: str
) -> None:
    argument = "params" if hook == "params" else "session"
    pytester.makeconftest(
        f"""
        from pytest_agb import AGBError

        def pytest_agb_session_{hook}({argument}):
            raise {error}({LONG})
        """
    )
    pytester.makepyfile(f"def test_it({use}): {use}()")

    result = pytester.runpytest_subprocess()

    failed = {"errors": 1} if use == "agb_session" else {"failed": 1}
    result.assert_outcomes(**failed)
    result.stdout.fnmatch_lines(
        [
            "*test_it*",
            f"pytest_agb_session_{hook} (conftest.py:3) failed: {error}: can't prepare xxx*x ...",
            "Traceback (most recent call last):",
            f'  File "*conftest.py", line 4, in pytest_agb_session_{hook}',
            "the end*",
        ]
    )
    result.stdout.no_fnmatch_line("*no AGB session*")
    result.stdout.no_fnmatch_line("*File*pluggy*")
    assert cloud.live_sessions() == []


def test_the_one_of_several_that_failed(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        other="""
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_agb_session_ready(session): return (yield)
        """
    )
    pytester.makeconftest("def pytest_agb_session_ready(session): pass")
    pytester.mkpydir("inner").joinpath("conftest.py").write_text(
        "def pytest_agb_session_ready(session): helper()\ndef helper(): raise KeyError('name')\n"
    )
    (pytester.path / "inner" / "test_it.py").write_text("def test_it(agb_session): pass\n")

    result = pytester.runpytest_subprocess("-p", "other")

    result.assert_outcomes(errors=1)
    place = Path("inner") / "conftest.py"
    result.stdout.fnmatch_lines([f"pytest_agb_session_ready ({place}:1) failed: KeyError: 'name'"])


def test_one_that_returns_something_else(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest("def pytest_agb_session_params(params): return {'image_id': 'agb-code-space-2'}")
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["pytest_agb_session_params returned {'image_id': *}: it must be CreateSessionParams, *"]
    )


def test_one_that_resets(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(f"def pytest_agb_session_reset(session): raise RuntimeError({LONG})")
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess("--agb-reuse=reset")

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*PytestWarning: pytest_agb_session_reset (conftest.py:1) failed: RuntimeError: can't *x ...",
            "*<Session session-000001, *> is deleted and not leased again",
        ]
    )


@pytest.mark.parametrize("outcome", ["skip", "fail"])
def test_its_own_outcome_stands(pytester: pytest.Pytester, cloud: StandIn, outcome: str) -> None:
    pytester.makeconftest(
        f"import pytest\ndef pytest_agb_session_ready(session): pytest.{outcome}('because of this')"
    )
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess("-rs")

    result.assert_outcomes(**({"skipped": 1} if outcome == "skip" else {"errors": 1}))
    result.stdout.fnmatch_lines(["*because of this*"])
