"""A session lives exactly as long as the configured scope."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from support.standin import StandIn

SUITE = """
    import os, pathlib, secrets

    def seen(session):
        path = pathlib.Path(os.environ["SEEN"], secrets.token_hex(4))
        path.write_text(session.session_id)

    class TestOne:
        def test_a(self, agb_session): seen(agb_session)
        def test_b(self, agb_session): seen(agb_session)

    class TestTwo:
        def test_c(self, agb_session): seen(agb_session)
"""
# Two packages of two modules of that: 12 tests.
EXPECTED = {"function": 12, "class": 8, "module": 4, "package": 2, "session": 1}


@pytest.mark.parametrize(("scope", "expected"), EXPECTED.items())
def test_as_many_sessions_as_scopes(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path, scope: str, expected: int
) -> None:
    for package in ("north", "south"):
        directory = pytester.mkpydir(package)
        for module in ("test_m", "test_n"):
            (directory / f"{module}.py").write_text(textwrap.dedent(SUITE))

    pytester.runpytest_subprocess(f"--agb-scope={scope}").assert_outcomes(passed=12)

    assert len({path.read_text() for path in seen.iterdir()}) == expected
    assert cloud.count("/mcp/createSession") == expected
    assert cloud.live_sessions() == []


@pytest.fixture
def packages(pytester: pytest.Pytester) -> None:
    """Tests outside any package, in a directory that is none too, in a package, and in one in that."""
    source = """
        import os, pathlib, time

        def test_it(agb_session, request):
            time.sleep(0.3)  # enough for sessions that the keeper takes to be needed
            path = pathlib.Path(os.environ["SEEN"], request.node.nodeid.replace("/", "."))
            path.write_text(f"{agb_session.session_id} {agb_session.image_id}")
    """
    for directory in ("outer", "outer/inner"):
        pytester.mkpydir(directory)
    pytester.mkdir("loose")
    for name in ("test_a", "test_z", "loose/test_b", "outer/test_c", "outer/test_y", "outer/inner/test_d"):
        (pytester.path / f"{name}.py").write_text(textwrap.dedent(source))


def test_a_package_is_the_nearest_one_and_all_tests_outside_any_share_a_session(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path, packages: None
) -> None:
    pytester.runpytest_subprocess("--agb-scope=package", "-p", "no:randomly").assert_outcomes(passed=6)

    used = {path.name.split(".py")[0]: path.read_text().split()[0] for path in seen.iterdir()}
    assert used["test_a"] == used["test_z"] == used["loose.test_b"]
    assert used["outer.test_c"] == used["outer.test_y"]
    assert len(set(used.values())) == 3
    assert cloud.count("/mcp/createSession") == 3, "some were created ahead that no test could use"
    assert cloud.live_sessions() == []


def test_a_marker_on_a_package_counts_for_it_and_what_it_is_in_has_another_session(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path, packages: None
) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            inner = {item.getparent(pytest.Package) for item in items if "inner" in item.nodeid}
            for package in inner:
                package.add_marker(pytest.mark.agb(image="agb-code-space-2"))
        """
    )
    pytester.runpytest_subprocess("--agb-scope=package", "-p", "no:randomly").assert_outcomes(passed=6)

    images = {path.name.split(".py")[0]: path.read_text().split()[1] for path in seen.iterdir()}
    assert images.pop("outer.inner.test_d") == "agb-code-space-2"
    assert set(images.values()) == {"agb-code-space-1"}
    assert cloud.count("/mcp/createSession") == 3


@pytest.mark.parametrize("mark", ["pytestmark = {mark}\ndef test_it(agb_session): pass", "@{mark}\n{test}"])
def test_a_marker_that_the_package_does_not_have_is_refused_in_and_outside_of_packages(
    pytester: pytest.Pytester, cloud: StandIn, seen: Path, packages: None, mark: str
) -> None:
    marked = mark.format(
        mark='pytest.mark.agb(image="agb-code-space-2")', test="def test_it(agb_session): pass"
    )
    for where in ("", "loose/", "outer/"):
        (pytester.path / f"{where}test_marked_{where[:1]}.py").write_text(f"import pytest\n{marked}\n")

    result = pytester.runpytest_subprocess("--agb-scope=package", "-k", "test_marked")

    result.assert_outcomes(errors=3, deselected=6)
    result.stdout.fnmatch_lines(["this test's agb marker would be ignored: *"] * 3)


def test_deleted_when_another_fixture_fails(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken(agb_session):
            raise RuntimeError("after the session was there")

        def test_it(broken): pass
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(errors=1)

    assert cloud.count("/mcp/createSession") == 1
    assert cloud.live_sessions() == []


def test_a_session_that_the_test_deleted_is_no_error(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makepyfile(
        """
        def test_own(agb_session):
            agb_session.delete().check()
            result = agb_session.command.execute_command("true")
            assert not result.success
            assert "deleted" in result.error_message

        def test_others(agb, agb_session):
            agb.delete(agb_session).check()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)

    assert cloud.live_sessions() == []


def test_two_workers_share_one_run(pytester: pytest.Pytester, cloud: StandIn, seen: Path) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, pytest

        @pytest.mark.parametrize("number", range(6))
        def test_it(agb_session, number, worker_id):
            labels = agb_session.get_labels(include_reserved=True).data
            pathlib.Path(os.environ["SEEN"], f"{worker_id}-{number}").write_text(labels["agb_run"])
        """
    )
    result = pytester.runpytest_subprocess("-n2")

    result.assert_outcomes(passed=6)
    assert {path.name.split("-")[0] for path in seen.iterdir()} == {"gw0", "gw1"}
    (run_id,) = {path.read_text() for path in seen.iterdir()}
    result.stdout.fnmatch_lines([f"agb: *, run {run_id}"])
    assert cloud.live_sessions() == []
