"""With pytest-httpx, which answers requests of httpx and fails the test for each that it does not expect."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("pytest_httpx",)

TESTS = """
    import httpx

    def use_both(session, agb, httpx_mock):
        httpx_mock.add_response(url="https://example.org/known", text="mocked")
        use_sandbox(session, agb)
        assert httpx.get("https://example.org/known").text == "mocked"
        use_sandbox(session, agb)
        assert [str(request.url) for request in httpx_mock.get_requests()] == ["https://example.org/known"]

    def test_mock_first(httpx_mock, agb_session, agb): use_both(agb_session, agb, httpx_mock)

    def test_session_first(agb_session, agb, httpx_mock): use_both(agb_session, agb, httpx_mock)

    def test_late(httpx_mock, request):
        use_both(request.getfixturevalue("agb_session"), request.getfixturevalue("agb"), httpx_mock)

    @pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
    def test_refused(agb_session, agb, httpx_mock):
        with pytest.raises(httpx.TimeoutException, match="No response can be found"):
            httpx.get(agb_session.agb.endpoint)
        httpx_mock.reset()
        use_both(agb_session, agb, httpx_mock)

    def test_never_requested(agb_session, agb, httpx_mock):
        httpx_mock.add_response(url="https://example.org/never")
        use_sandbox(agb_session, agb)
"""


@pytest.mark.parametrize("way", WAYS)
def test_sandboxes_are_reached_and_the_mock_sees_the_tests_own_requests(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    output = suite.run(*WAYS[way])

    # The mock itself fails the test whose answer nobody asked for, at its end.
    assert "5 passed, 1 error" in output, output
    assert "The following responses are mocked but not requested" in output
    assert "example.org/never" in output
    suite.assert_says_nothing_left()
