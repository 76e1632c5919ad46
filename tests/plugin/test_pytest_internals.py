"""What of pytest is private and we need is there, and nobody but one module touches it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_agb.plugin

#: Names that pytest does not document, and those that are xdist's; each with the only module that has it.
PRIVATE = {
    r"\b_pytest\b|_fixtureinfo|name2fixturedefs|callspec|_pyfuncitem|_setupstate|_fixturemanager|capturemanager"
    r"|getattr\([^)]*fixturenames|PYTEST_CURRENT_TEST|reprcrash|addsection": "pytest_internals.py",
    r"\.workerinput|\.workeroutput|\"workerinput|\"workeroutput|PYTEST_XDIST": "controller.py",
}


@pytest.mark.parametrize(("pattern", "module"), PRIVATE.items(), ids=PRIVATE.values())
def test_one_module_touches_it(pattern: str, module: str) -> None:
    files = Path(pytest_agb.plugin.__path__[0]).rglob("*.py")

    assert {path.name for path in files if re.search(pattern, path.read_text())} == {module}


COLLECTED = """
    from pytest_agb.plugin.pytest_internals import fixture_definitions, fixture_names, parameter

    def pytest_collection_finish(session):
        for item in session.items:
            print(item.name, "names", *sorted(fixture_names(item)))
            for fixture in fixture_definitions(item).get("agb_image", ()):
                print(item.name, "has an image of", fixture.func.__module__)
            print(item.name, "has the parameter", parameter(item, "agb_image"))
"""


def test_what_a_test_will_ask_for_is_known_before_it_runs(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COLLECTED)
    pytester.makepyfile(
        test_overridden="""
            import pytest

            @pytest.fixture
            def agb_image(): return "agb-code-space-2"

            def test_over(agb_session): pass
        """,
        test_plain="""
            import pytest

            def test_session(agb_session): pass

            @pytest.mark.parametrize("agb_image", ["one", "two"], indirect=True)
            def test_image(agb_image): pass

            def test_none(): pass
        """,
    )
    lines = pytester.runpytest_subprocess("--collect-only", "-q", "-p", "no:randomly").outlines

    assert "test_none names" in lines
    for name in ("agb_session", "agb_session_params", "_agb_pool"):  # also what those that it names name
        assert any(line.startswith("test_session names ") and name in line.split() for line in lines)
    assert [line.split()[-1] for line in lines if line.startswith("test_over has an image")] == [
        "pytest_agb.plugin.fixtures",
        "test_overridden",
    ]
    assert [line.split()[-1] for line in lines if line.startswith("test_session has an image")] == [
        "pytest_agb.plugin.fixtures"
    ]
    parameters = [line.split() for line in lines if " has the parameter " in line]
    assert {words[0]: words[-1] for words in parameters} == {
        "test_over": "None",
        "test_session": "None",
        "test_image[one]": "one",
        "test_image[two]": "two",
        "test_none": "None",
    }


def test_a_fixture_of_any_scope_knows_the_test_that_it_is_set_up_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_agb.plugin.pytest_internals import test_that_asks as the_test_that_asks

        @pytest.fixture(scope="session")
        def wide(request): return the_test_that_asks(request).name

        @pytest.fixture(scope="module")
        def between(wide): return wide

        def test_before(): pass
        def test_asks(between): assert between == "test_asks"
        def test_later(between): assert between == "test_asks"
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=3)


@pytest.mark.parametrize("capture", [["--capture=fd"], ["--capture=sys"], ["-s"], ["-p", "no:capture"]])
def test_what_is_said_while_a_test_runs_reaches_the_user(
    pytester: pytest.Pytester, capture: list[str]
) -> None:
    pytester.makepyfile(
        """
        from pytest_agb.plugin.pytest_internals import uncaptured

        def test_it(request):
            print("of the test")
            with uncaptured(request.config):
                print("for the user")
        """
    )
    result = pytester.runpytest_subprocess(*capture)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*for the user"])
