"""Where a process may have few files open, the keeper makes fewer calls at once, and none fails for that."""

from __future__ import annotations

import pytest
from support.suite import Suite

SUITE = """
    from concurrent.futures import ThreadPoolExecutor

    def test_it(agb_session_factory):
        with ThreadPoolExecutor(60) as pool:
            list(pool.map(lambda number: agb_session_factory(), range(60)))
"""


@pytest.mark.parametrize("kind", ["-S", ""], ids=["soft", "soft-and-hard"])
def test_sixty_sessions_with_sixty_four_open_files(suite: Suite, kind: str) -> None:
    suite.service.latency["/mcp/createSession"] = 0.5
    suite.write(SUITE)

    with suite.start(prefix=("sh", "-c", f'ulimit {kind} -n 64; exec "$0" "$@"')) as process:
        process.wait(60)

    assert "1 passed" in suite.output
    suite.assert_says_nothing_left()
