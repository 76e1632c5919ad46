"""A test runs with the images that it is parametrized with; a parameter that nobody reads is an error."""

from __future__ import annotations

import pytest
from support.standin import StandIn

PARAMETRIZED = """
    import pytest

    IMAGES = ["agb-code-space-1", "agb-code-space-2"]
    by_image = pytest.mark.parametrize("agb_image", IMAGES, indirect=True)

    @pytest.fixture(autouse=True)
    def right(request):
        yield
        session = request.node.funcargs.get("agb_session") or request.node.session_by_name
        assert session.image_id == request.node.callspec.params["agb_image"]

    @by_image
    def test_plain(agb_session): pass

    @pytest.mark.parametrize("agb_image", IMAGES, ids=["one", "two"], indirect=True)
    def test_ids(agb_session): pass

    @pytest.mark.parametrize("number, agb_image", list(enumerate(IMAGES)), indirect=["agb_image"])
    def test_beside_another(agb_session, number): pass

    @by_image
    def test_on_demand(agb_image, request):
        request.node.session_by_name = request.getfixturevalue("agb_session")

    @by_image
    def test_factory(agb_session_factory, request):
        request.node.session_by_name = agb_session_factory()

    @pytest.mark.agb(image="agb-code-space-1", labels={"a": "b"})
    class TestMarked:
        @by_image
        def test_it(self, agb_session): assert agb_session.get_labels().data == {"a": "b"}
"""


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="plain"),
        pytest.param(["-n2", "--agb-image=agb-code-space-2", "--agb-image=agb-code-space-1"], id="xdist"),
        pytest.param(["--agb-scope=class", "--agb-image=agb-code-space-2"], id="shared"),
    ],
)
def test_by_indirect_parameters_of_agb_image(
    pytester: pytest.Pytester, cloud: StandIn, arguments: list[str]
) -> None:
    pytester.makepyfile(PARAMETRIZED)

    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=12)


def test_parametrized_by_a_fixture_or_a_hook_it_is_not_so_again_by_the_command_line(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    for name, source in {
        "fixture": """
            import pytest

            @pytest.fixture(params=["agb-code-space-1", "agb-code-space-2"])
            def agb_image(request): return request.param
            """,
        "hook": """
            def pytest_generate_tests(metafunc):
                if "agb_image" in metafunc.fixturenames:
                    metafunc.parametrize("agb_image", ["agb-code-space-1", "agb-code-space-2"], indirect=True)
            """,
    }.items():
        directory = pytester.mkpydir(name)
        (directory / "conftest.py").write_text("\n".join(line[12:] for line in source.splitlines()))
        (directory / "test_it.py").write_text(
            "def test_it(agb_session, request):\n"
            "    assert agb_session.image_id == request.node.callspec.params['agb_image']\n"
        )

    result = pytester.runpytest_subprocess("--agb-image=agb-code-space-1", "--agb-image=agb-code-space-2")

    result.assert_outcomes(passed=4)


def test_of_our_other_fixtures_is_an_error_that_names_agb_image(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    pytester.makepyfile(
        """
        import pytest

        def with_images(fixture):
            return pytest.mark.parametrize(fixture, ["agb-code-space-1", "agb-code-space-2"], indirect=True)

        @with_images("agb_session")
        def test_session(agb_session): pass

        @with_images("agb_session_params")
        def test_params(agb_session_params): pass

        @with_images("agb_session_factory")
        def test_factory(agb_session_factory): pass

        @with_images("agb")
        def test_client(agb): pass

        class TestOwn:
            @pytest.fixture
            def agb_session(self, agb_session, request):
                agb_session.own = request.param
                return agb_session

            @with_images("agb_session")
            def test_it(self, agb_session): assert agb_session.own
        """
    )
    result = pytester.runpytest_subprocess()

    result.assert_outcomes(errors=8, passed=2)
    for name in ("agb_session", "agb_session_params", "agb_session_factory", "agb"):
        result.stdout.fnmatch_lines_random(
            [f"{name} takes no parameter, and was given 'agb-code-space-2': parametrize agb_image instead *"]
        )
