"""With pyfakefs, whose file system is in the place of `os`, `io`, `pathlib` and others while a test runs."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("fakefs",)

TESTS = """
    @pytest.fixture
    def fakes(fs):
        yield fs
        assert pathlib.Path("/own/note.txt").read_text() == "faked"

    def use_both(session, agb, factory, fs):
        fs.create_file("/own/note.txt", contents="faked")
        use_sandbox(session, agb)
        use_sandbox(factory())
        assert not os.path.exists(SEEN)

    def test_before(agb_session): use_sandbox(agb_session)

    def test_fake_first(fakes, agb_session, agb, agb_session_factory):
        use_both(agb_session, agb, agb_session_factory, fakes)

    def test_session_first(agb_session, agb, agb_session_factory, fakes):
        use_both(agb_session, agb, agb_session_factory, fakes)

    @pytest.mark.parametrize("fs", [[None, None, None, True]], indirect=True)
    def test_another_fake(fs, agb_session, agb, agb_session_factory):
        use_both(agb_session, agb, agb_session_factory, fs)

    def test_after(agb_session): use_sandbox(agb_session)
"""
#: In place from before the first session until after the last: the run's fixtures begin and end in it.
WIDE = """
    @pytest.fixture(scope="session", autouse=True)
    def all_of_the_run(fs_session): pass

    @pytest.mark.parametrize("number", range(2))
    def test_it(agb_session, agb, agb_session_factory, number):
        use_sandbox(agb_session, agb)
        use_sandbox(agb_session_factory())
"""


@pytest.mark.parametrize("way", TRIED)
def test_sandboxes_are_reached_beside_a_fake_file_system(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    assert "5 passed" in suite.run("-p", "no:randomly", *WAYS[way]), suite.output

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=10)


@pytest.mark.parametrize("scope", ["function", "session"])
@pytest.mark.parametrize("way", TRIED)
def test_a_fake_file_system_may_last_all_of_the_run(suite: Suite, way: str, scope: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, WIDE))

    assert "2 passed" in suite.run(f"--agb-scope={scope}", *WAYS[way]), suite.output

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=3)


@pytest.mark.parametrize("way", TRIED)
def test_who_asks_from_within_is_told_so_and_spoils_nothing_for_others(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(
        joined(
            SANDBOX,
            """
            def test_late(fs, request): request.getfixturevalue("agb_session")

            def test_late_client(fs, request): request.getfixturevalue("agb")

            @pytest.mark.parametrize("number", range(3))
            def test_after(request, number): use_sandbox(request.getfixturevalue("agb_session"))
            """,
        )
    )

    output = suite.run("-p", "no:randomly", "--tb=short", *WAYS[way])

    assert "2 failed, 3 passed" in output, output
    assert output.count("the run can't be joined while os.open is replaced by pyfakefs.fake_os. Name") == 2
    assert "Traceback" not in output
    suite.assert_says_nothing_left()
