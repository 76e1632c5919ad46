"""What a suite asks of our fixtures, and they can't give, is told."""

from __future__ import annotations

import pytest
from support.standin import StandIn

MARKED = """
    import pytest

    @pytest.mark.agb(image="agb-code-space-2")
    def test_without(): pass

    @pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.agb(image="agb-code-space-2")), 2])
    def test_of_a_parameter(number): pass

    @pytest.mark.agb(image="agb-code-space-2")
    def test_on_demand(request):
        assert request.getfixturevalue("agb_session").image_id == "agb-code-space-2"

    @pytest.mark.agb(image="agb-code-space-2")
    def test_parameters(agb_session_params): pass

    @pytest.mark.agb(image="agb-code-space-2")
    def test_skipped(): pytest.skip("before it asks")

    @pytest.mark.agb(image="agb-code-space-2")
    class TestMixed:
        def test_with(self, agb_session): pass
        def test_without(self): pass
"""


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n2"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_a_marker_on_a_test_without_a_session_warns(
    pytester: pytest.Pytester, cloud: StandIn, workers: list[str]
) -> None:
    pytester.makepyfile(test_it=MARKED)

    result = pytester.runpytest_subprocess(*workers)

    result.assert_outcomes(passed=7, skipped=1, warnings=2)
    for test in ("test_without", "test_of_a_parameter[[]1[]]"):
        result.stdout.fnmatch_lines_random(
            [f"*PytestWarning: test_it.py::{test}: the agb marker does nothing here, *agb_session, *"]
        )


def test_where_warnings_are_errors_it_fails_that_test_only(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(test_it=MARKED)

    result = pytester.runpytest_subprocess("-W", "error")

    result.assert_outcomes(passed=5, failed=2, skipped=1)


OWN = """
    import pytest

    @pytest.fixture
    def agb_session(): return "mine"
"""
NOT_OURS = "agb: agb_session is not ours: it is overridden in "


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n1"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_the_header_says_that_a_conftests_own_session_is_not_ours(
    pytester: pytest.Pytester, workers: list[str]
) -> None:
    pytester.makeconftest(OWN)
    pytester.makepyfile("def test_it(agb_session): assert agb_session == 'mine'")

    result = pytester.runpytest_subprocess(*workers)

    result.assert_outcomes(passed=1)
    assert result.stdout.str().count(f"{NOT_OURS}conftest.py\n") == 1
    result.stdout.fnmatch_lines(["agb: local *", f"{NOT_OURS}conftest.py", "rootdir: *"])


def test_what_the_header_can_not_know_is_said_after_the_collection(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=OWN + "\n    def test_it(agb_session): assert agb_session == 'mine'\n",
        test_unused=OWN + "\n    def test_it(): pass\n",
    )

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["collected 2 items*", f"{NOT_OURS}test_it.py"])
    assert result.stdout.str().count(NOT_OURS) == 1


def test_one_that_is_made_from_ours_is_not_told(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def agb_image(): return "agb-code-space-2"

        @pytest.fixture
        def agb_session(prepared): return prepared

        @pytest.fixture
        def prepared(agb_session_factory): return agb_session_factory()
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def agb_session(agb_session): return agb_session

        def test_it(agb_session): assert agb_session.image_id == "agb-code-space-2"
        """
    )
    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*not ours*")


MISMATCHES = """
    import pytest

    @pytest.fixture(scope="module")
    def names(agb_session): pass

    @pytest.fixture(scope="package")
    def asks(request): request.getfixturevalue("agb_session_factory")

    @pytest.fixture
    def narrow(): pass

    @pytest.fixture(scope="module")
    def not_ours(narrow): pass

    @pytest.mark.parametrize("number", [1, 2])
    def test_names(names, number): pass

    def test_asks(asks): pass

    def test_not_ours(not_ours): pass
"""


def test_a_scope_mismatch_says_what_to_do(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(MISMATCHES)

    result = pytester.runpytest_subprocess("-p", "no:randomly")

    result.assert_outcomes(errors=4)
    advice = (
        "agb: use --agb-scope={} (in an ini file: agb_scope), or write a fixture of your own with scope {!r}*"
    )
    result.stdout.fnmatch_lines(
        [
            "*at setup of test_names[[]1[]]*",
            "ScopeMismatch: *",
            advice.format("module", "module"),
            "*at setup of test_names[[]2[]]*",
            advice.format("module", "module"),
            "*at setup of test_asks*",
            "ScopeMismatch: *",
            advice.format("session", "package"),
            "*at setup of test_not_ours*",
            "ScopeMismatch: *",
        ]
    )
    assert result.stdout.str().count("agb: use --agb-scope") == 3


def test_what_it_says_to_do_helps(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_agb import CreateSessionParams

        @pytest.fixture(scope="module")
        def own(agb, agb_image): return agb.create(CreateSessionParams(image_id=agb_image)).check().session

        def test_it(own): own.get_status().check()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_rung_overridden_with_too_narrow_a_scope_is_told_to_be_wider(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def agb_image(): return "agb-code-space-2"

        def test_it(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess("--agb-scope=class")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["agb: agb_image is overridden with scope 'function', *--agb-scope=class: give it scope 'class' *"]
    )
