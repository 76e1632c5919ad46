"""The marker says what session a test gets, and is never ignored silently."""

from __future__ import annotations

import pytest
from support.standin import StandIn


def test_it_wins_over_command_line_and_ini(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeini("[pytest]\nagb_image = agb-code-space-2\nagb_idle_timeout = 100\n")
    pytester.makepyfile(
        """
        import pytest

        def test_ini(agb_session_params):
            assert agb_session_params.image_id == "agb-code-space-2"
            assert agb_session_params.idle_release_timeout == 200

        @pytest.mark.agb(image="agb-code-space-1", idle_timeout=50, policy_id="pol-1")
        def test_marker(agb_session, agb_session_params):
            assert agb_session.image_id == "agb-code-space-1"
            assert agb_session_params.idle_release_timeout == 50
            assert agb_session_params.policy_id == "pol-1"
        """
    )
    pytester.runpytest_subprocess("--agb-idle-timeout=200").assert_outcomes(passed=2)


def test_several_images_run_a_test_once_with_each_unless_its_marker_names_one(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_any(agb_session): pass

        @pytest.mark.agb(image="agb-code-space-2")
        def test_one(agb_session): assert agb_session.image_id == "agb-code-space-2"

        def test_none(): pass
        """
    )
    result = pytester.runpytest_subprocess(
        "-v", "--agb-image=agb-code-space-1", "--agb-image=agb-code-space-2"
    )

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines_random(
        ["*::test_any[[]agb-code-space-1[]] PASSED*", "*::test_any[[]agb-code-space-2[]] PASSED*"]
    )


IGNORED = """
    import pytest

    @pytest.mark.agb(labels={"a": "b"})
    class TestIt:
        def test_plain(self, agb_session): pass

        @pytest.mark.agb(image="agb-code-space-2")
        def test_marked(self, agb_session): pass

        @pytest.mark.agb(image="agb-code-space-2")
        def test_uses_none(self): pass
"""


@pytest.mark.parametrize(
    "arguments", [[], pytest.param(["-n2"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_one_that_a_wider_scope_would_ignore_is_an_error_in_its_test(
    pytester: pytest.Pytester, cloud: StandIn, arguments: list[str]
) -> None:
    pytester.makepyfile(IGNORED)

    result = pytester.runpytest_subprocess("--agb-scope=class", *arguments)

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at setup of TestIt.test_marked*", "this test's agb marker would be ignored: *"]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert cloud.live_sessions() == []


def test_on_the_class_it_counts_for_class_scope_and_not_for_module_scope(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.agb(image="agb-code-space-2")
        class TestIt:
            def test_image(self, agb_session): assert agb_session.image_id == "agb-code-space-2"

        @pytest.mark.agb(image="agb-code-space-2")
        def test_outside_a_class(agb_session): assert agb_session.image_id == "agb-code-space-2"
        """
    )
    pytester.runpytest_subprocess("--agb-scope=class").assert_outcomes(passed=2)
    pytester.runpytest_subprocess("--agb-scope=module").assert_outcomes(errors=2)


NOT_TAKEN = [
    ("imgae='x'", "*unknown argument 'imgae'; it takes image, labels, idle_timeout, policy_id"),
    ("'agb-code-space-1'", "*'agb-code-space-1' has no name*"),
    ("image=''", "*image='' must be a non-empty string"),
    ("idle_timeout='5m'", "*idle_timeout='5m' must be a positive number of whole seconds"),
    ("labels=['a']", "*labels must be a mapping*"),
    ("labels={'a': ''}", "*value of label 'a' is empty"),
    ("labels={'agb_slot': 'x'}", "*'agb_slot' is reserved*"),
]


def test_arguments_it_does_not_take_are_an_error_in_the_test(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    tests = [
        f"@pytest.mark.agb({arguments})\ndef test_{number}(agb_session): pass\n"
        for number, (arguments, _) in enumerate(NOT_TAKEN)
    ]
    pytester.makepyfile("import pytest\n" + "\n".join(tests))

    result = pytester.runpytest_subprocess("-p", "no:randomly")

    result.assert_outcomes(errors=len(NOT_TAKEN))
    for number, (_, message) in enumerate(NOT_TAKEN):
        result.stdout.fnmatch_lines([f"*ERROR at setup of test_{number}*", f"agb marker: {message}"])


def test_each_rung_of_the_ladder_can_be_overridden(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(
        """
        import dataclasses, pytest

        @pytest.fixture
        def agb_image(): return "agb-code-space-2"

        @pytest.fixture
        def agb_session_params(agb_session_params):
            return dataclasses.replace(agb_session_params, labels={"rung": "params"})

        def pytest_agb_session_ready(session):
            session.command.execute_command("prepare")
        """
    )
    cloud.tools["shell"] = lambda session, arguments: '{"stdout": "", "stderr": "", "exit_code": 0}'
    pytester.makepyfile(
        """
        def test_it(agb_session, agb_session_factory):
            for session in (agb_session, agb_session_factory()):
                assert session.image_id == "agb-code-space-2"
                assert session.get_labels().data == {"rung": "params"}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)

    assert cloud.count("/mcp") == 2


def test_a_hook_that_fails_leaves_no_session(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(
        """
        def pytest_agb_session_ready(session): raise RuntimeError("can't prepare")
        """
    )
    pytester.makepyfile("def test_it(agb_session): pass")

    pytester.runpytest_subprocess().assert_outcomes(errors=1)

    assert cloud.count("/mcp/createSession") == 1
    assert cloud.live_sessions() == []


def test_a_hook_can_replace_the_parameters(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(
        """
        import dataclasses

        def pytest_agb_session_params(params): return dataclasses.replace(params, image_id="agb-code-space-2")
        """
    )
    pytester.makepyfile("def test_it(agb_session): assert agb_session.image_id == 'agb-code-space-2'")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)
