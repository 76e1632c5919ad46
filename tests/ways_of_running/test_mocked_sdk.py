"""Mocks stand for the official SDK's calls (requests) and a test's own (httpx): only ours go past them."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, WAYS, answer_tools, joined
from support.suite import Suite

TESTS = """
    import httpx
    import requests

    @pytest.fixture
    def seen(monkeypatch):
        seen = []

        def by_httpx(client, request, **options):
            seen.append(request.url.host)
            return httpx.Response(200, text="mocked", request=request)

        def by_requests(adapter, request, **options):
            seen.append(request.url.split("/")[2])
            raise requests.ConnectionError("mocked")

        monkeypatch.setattr(httpx.Client, "send", by_httpx)
        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", by_requests)
        monkeypatch.setenv("AGB_ENDPOINT", "sdk.example.org")
        return seen

    def calls(seen):
        from agb import AGB

        del seen[:]
        AGB(api_key="the-sdk's").list()
        httpx.get("https://example.org/known")
        return list(seen)

    def test_mocks_see_what_they_see_without_a_sandbox(seen, request):
        alone = calls(seen)
        assert alone == ["sdk.example.org", "example.org"]
        session, agb = request.getfixturevalue("agb_session"), request.getfixturevalue("agb")
        use_sandbox(session, agb)
        assert calls(seen) == alone
        use_sandbox(session, agb)
        assert seen == alone

    def test_first_the_sandbox(agb_session, agb, seen):
        use_sandbox(agb_session, agb)
        assert calls(seen) == ["sdk.example.org", "example.org"]
"""


@pytest.mark.parametrize("way", ["plain", pytest.param("xdist-local", marks=pytest.mark.slow)])
def test_mocks_stand_for_all_calls_but_the_sandboxes_own(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    assert "2 passed" in suite.run(*WAYS[way]), suite.output

    suite.assert_says_nothing_left()
