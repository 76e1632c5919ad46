"""`pytest --pdb`, left standing at a failed test."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from support.deadline import eventually
from support.suite import Suite

KEEP_ALIVE = "/mcp/refreshSessionIdleTime"


@contextmanager
def standing(suite: Suite) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A pytest that stands in the debugger, and the session that its test holds."""
    suite.write(
        """
        def test_first(agb_session):
            (SEEN / agb_session.session_id).write_text("")
            assert False

        def test_next(agb_session): pass
        """
    )
    (suite.directory / "pytest.ini").write_text("[pytest]\nagb_max_idle = 1\n")
    with suite.start("--pdb", "-p", "no:randomly", "--agb-idle-timeout=2", stdin=subprocess.PIPE) as process:
        eventually(lambda: "(Pdb)" in suite.output, "the debugger waits", seconds=60)
        (held,) = suite.seen.iterdir()
        yield process, held.name
    assert process.stdin


def kept_alive(suite: Suite) -> list[str]:
    """The sessions of all requests that keep one alive."""
    requests = [request for request in list(suite.service.requests) if request.path == KEEP_ALIVE]
    return [{**request.http.query, **request.body}["sessionId"] for request in requests]


def test_the_sessions_held_stay_usable_and_no_other_is_kept(suite: Suite) -> None:
    with standing(suite) as (process, held):
        eventually(lambda: kept_alive(suite).count(held) >= 4, "it has outlived its idle timeout twice")
        assert len(suite.created) > 1, "none was created ahead"
        eventually(lambda: [session.session_id for session in suite.own] == [held], "no other is there")
        process.communicate(b"p agb_session.get_status().check().success\nq\n", timeout=60)

    assert "(Pdb) True" in suite.output
    suite.assert_says_nothing_left()
    suite.assert_nothing_left()


def test_nothing_is_left_when_it_is_killed_there(suite: Suite) -> None:
    with standing(suite) as (process, held):
        assert held in [session.session_id for session in suite.own]
        suite.kill_group(process, signal.SIGKILL)
    suite.assert_nothing_left()
