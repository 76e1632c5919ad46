"""However xdist hands tests out, and whatever becomes of its workers."""

from __future__ import annotations

import pytest
from support.suite import Suite
from support.variants import slow_but

CLASSES = """
    def use(session, name, worker):
        session.get_status().check()
        (SEEN / f"{name} {worker} {session.session_id}").write_text("")

    @pytest.mark.xdist_group("a")
    class TestA:
        @pytest.mark.parametrize("number", range(4))
        def test_it(self, agb_session, worker_id, number): use(agb_session, "a", worker_id)

    @pytest.mark.xdist_group("b")
    class TestB:
        @pytest.mark.parametrize("number", range(4))
        def test_it(self, agb_session, worker_id, number): use(agb_session, "b", worker_id)
"""


@pytest.mark.parametrize(
    "dist",
    slow_but(lambda dist: dist in ("load", "loadgroup"), ["load", "loadscope", "loadgroup", "worksteal"]),
)
def test_a_class_shares_a_session_and_workers_never_do(suite: Suite, dist: str) -> None:
    suite.write(CLASSES)

    output = suite.run("-n2", f"--dist={dist}", "--agb-scope=class")

    assert "8 passed" in output
    suite.assert_says_nothing_left()
    uses = [path.name.split() for path in suite.seen.iterdir()]
    assert len({session for _, _, session in uses}) == len(uses), "two classes or workers had one session"
    if dist == "loadscope":  # xdist 3.8 does not see the groups of loadgroup with pytest 9.2
        assert sorted(name for name, _, _ in uses) == ["a", "b"], uses
    suite.assert_nothing_left()


def test_the_first_failure_ends_the_run(suite: Suite) -> None:
    suite.write(
        """
        @pytest.mark.parametrize("number", range(40))
        def test_it(agb_session, number):
            assert number != 1
            time.sleep(0.1)
        """
    )

    output = suite.run("-n2", "-x")

    assert "stopping after 1 failures" in output
    suite.assert_says_nothing_left()
    suite.assert_nothing_left()


def test_a_crashed_worker_is_replaced(suite: Suite) -> None:
    """Each worker has one session, also the one that xdist starts in place of the dead."""
    suite.write(
        """
        @pytest.mark.parametrize("number", range(8))
        def test_it(agb_session, worker_id, number):
            agb_session.get_status().check()
            (SEEN / f"{worker_id} {agb_session.session_id}").write_text("")
            if number == 1:
                os._exit(3)
        """
    )

    output = suite.run("-n2", "--agb-scope=session")

    assert "replacing crashed worker" in output
    assert "1 failed, 7 passed" in output
    uses = [path.name.split() for path in suite.seen.iterdir()]
    assert len(uses) >= 2
    assert len({worker for worker, _ in uses}) == len({session for _, session in uses}) == len(uses)
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


def test_without_xdist(suite: Suite) -> None:
    suite.write("def test_it(agb_session): agb_session.get_status().check()\n")

    output = suite.run("-p", "no:xdist")

    assert "1 passed" in output
    suite.assert_says_nothing_left()
    suite.assert_nothing_left()
