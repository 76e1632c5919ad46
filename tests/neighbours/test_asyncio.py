"""With pytest-asyncio and anyio, which run tests in an event loop."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("anyio", "asyncio")

TESTS = """
    import asyncio
    import anyio
    import pytest_asyncio

    @pytest.mark.asyncio
    async def test_asyncio(agb_session, agb): use_sandbox(agb_session, agb)

    @pytest.mark.asyncio
    async def test_in_threads(agb_session, agb_session_factory):
        await asyncio.gather(*(asyncio.to_thread(use_sandbox, session)
                               for session in (agb_session, agb_session, agb_session_factory())))

    @pytest_asyncio.fixture
    async def own(agb_session):
        yield agb_session
        use_sandbox(agb_session)

    @pytest.mark.asyncio
    async def test_fixture(own, agb_session):
        assert own is agb_session
        use_sandbox(own)

    @pytest.fixture
    def anyio_backend(): return "asyncio"

    @pytest.mark.anyio
    async def test_anyio(agb_session): await anyio.to_thread.run_sync(use_sandbox, agb_session)
"""


@pytest.mark.parametrize("way", TRIED)
def test_tests_in_an_event_loop_have_sessions(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    output = suite.run("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", *WAYS[way])

    assert "4 passed" in output, output
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=6)
