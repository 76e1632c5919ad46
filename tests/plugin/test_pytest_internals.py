"""What of pytest is private and we need is there, and nobody but one module touches it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_agb.plugin
from pytest_agb.plugin import pytest_internals

#: Names that pytest does not document, and those that are xdist's; each with the only module that has it.
PRIVATE = {
    r"\b_pytest\b|_fixtureinfo|name2fixturedefs|callspec|_pyfuncitem|_setupstate|_fixturemanager|capturemanager"
    r"|getattr\([^)]*fixturenames|PYTEST_CURRENT_TEST": "pytest_internals.py",
    r"\.workerinput|\.workeroutput|\"workerinput|\"workeroutput|PYTEST_XDIST": "controller.py",
}


@pytest.mark.parametrize(("pattern", "module"), PRIVATE.items(), ids=PRIVATE.values())
def test_one_module_touches_it(pattern: str, module: str) -> None:
    files = Path(pytest_agb.plugin.__path__[0]).rglob("*.py")

    assert {path.name for path in files if re.search(pattern, path.read_text())} == {module}


def test_the_fixtures_that_a_test_names_are_known_before_it_runs(pytester: pytest.Pytester) -> None:
    item = pytester.getitem("def test_it(agb_session): pass", "test_it")

    assert {"agb_session", "agb_session_params", "_agb_pool"} <= set(pytest_internals.fixture_names(item))
    assert not pytest_internals.fixture_names(None)


def test_who_defines_a_fixture_is_known_before_a_test_runs(pytester: pytest.Pytester) -> None:
    item = pytester.getitem(
        """
        import pytest

        @pytest.fixture
        def agb_image(): return "agb-code-space-2"

        def test_it(agb_session): pass
        """,
        "test_it",
    )

    definitions = pytest_internals.fixture_definitions(item)

    assert [fixture.func.__module__ for fixture in definitions["agb_image"]] == [
        "pytest_agb.plugin.fixtures",
        item.getparent(pytest.Module).obj.__name__,  # type: ignore[union-attr]
    ]
    assert [fixture.func.__module__ for fixture in definitions["agb_session"]] == [
        "pytest_agb.plugin.fixtures"
    ]


def test_what_a_fixture_is_parametrized_with_is_known_before_a_test_runs(pytester: pytest.Pytester) -> None:
    items, _ = pytester.inline_genitems(
        pytester.makepyfile(
            """
            import pytest

            @pytest.mark.parametrize("agb_image", ["one", "two"], indirect=True)
            def test_it(agb_image): pass

            def test_plain(agb_image): pass
            """
        )
    )

    found = {item.name: pytest_internals.parameter(item, "agb_image") for item in items}
    assert found == {"test_it[one]": "one", "test_it[two]": "two", "test_plain": None}


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
