"""With mocks of httpx: the sandbox's calls go past them, and they see what they would see without any."""

from __future__ import annotations

import textwrap

import pytest
from support.mocks import SANDBOX, WAYS, answer_tools, joined
from support.suite import Suite

#: Fixtures `mocked`: with one answer for one address, and a function that tells the requests seen so far.
#: `Refused` is what other addresses get.
MOCKS = {
    "respx": """
        import respx
        from respx.models import AllMockedAssertionError as Refused

        @pytest.fixture
        def mocked():
            with respx.mock(using="USING", assert_all_called=True, assert_all_mocked=True) as router:
                router.get("https://example.org/known").respond(text="mocked")
                yield lambda: [str(call.request.url) for call in router.calls]
    """,
    "vcrpy": """
        import vcr
        from vcr.errors import CannotOverwriteExistingCassetteException as Refused

        CASSETTE = '''
        {"version": 1, "interactions": [{
            "request": {"method": "GET", "uri": "https://example.org/known", "body": null, "headers": {}},
            "response": {"status": {"code": 200, "message": "OK"}, "headers": {},
                         "body": {"string": "mocked"}}
        }]}'''

        @pytest.fixture
        def mocked(tmp_path):
            path = tmp_path / "cassette.json"
            path.write_text(CASSETTE)
            with vcr.use_cassette(str(path), serializer="json", record_mode="none") as cassette:
                yield lambda: [cassette.requests[0].uri] * cassette.play_count
            assert cassette.all_played
            assert path.read_text() == CASSETTE
    """,
    "send": """
        import httpx

        class Refused(Exception): pass

        @pytest.fixture
        def mocked(monkeypatch):
            seen = []

            def send(client, request, **options):
                if str(request.url) != "https://example.org/known":
                    raise Refused(request.url)
                seen.append(str(request.url))
                return httpx.Response(200, text="mocked", request=request)

            monkeypatch.setattr(httpx.Client, "send", send)
            return lambda: seen
    """,
}
MOCKS["respx-httpcore"] = MOCKS["respx"].replace("USING", "httpcore")
MOCKS["respx-httpx"] = MOCKS.pop("respx").replace("USING", "httpx")

TESTS = """
    import httpx

    def use_both(session, agb, mocked):
        use_sandbox(session, agb)
        assert httpx.get("https://example.org/known").text == "mocked"
        use_sandbox(session, agb)
        assert mocked() == ["https://example.org/known"]

    def test_mock_first(mocked, agb_session, agb): use_both(agb_session, agb, mocked)

    def test_session_first(agb_session, agb, mocked): use_both(agb_session, agb, mocked)

    def test_refused(agb_session, agb, mocked):
        with pytest.raises(Refused):
            httpx.get("https://example.org/unknown")
        use_both(agb_session, agb, mocked)
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mock", MOCKS)
def test_sandboxes_are_reached_and_the_mock_sees_the_tests_own_requests(
    suite: Suite, mock: str, way: str
) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, MOCKS[mock], TESTS))

    assert "3 passed" in suite.run(*WAYS[way]), suite.output

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=3 + 5)


#: What is in place before anything of ours that needs httpx is imported.
EARLIER = {
    "classes": """
        import httpcore, httpx

        def refuse(*arguments, **options): raise RuntimeError("mocked")

        httpx.Client.send = httpx.HTTPTransport.handle_request = refuse
        httpcore.ConnectionPool.handle_request = httpcore.HTTPConnection.handle_request = refuse
    """,
    "functions": """
        from unittest import mock
        import httpcore, httpx

        mock.patch.multiple("httpx", Client=mock.DEFAULT, Timeout=mock.DEFAULT, Auth=mock.DEFAULT).start()
        mock.patch.multiple("httpcore", ConnectionPool=mock.DEFAULT, Request=mock.DEFAULT).start()
    """,
    "modules": """
        import sys
        from unittest import mock

        sys.modules["httpx"] = sys.modules["httpcore"] = mock.MagicMock()
    """,
    "absent": """
        import sys

        sys.modules["httpx"] = sys.modules["httpcore"] = None
    """,
    "respx": """
        import respx

        respx.mock(assert_all_called=False).start()
    """,
}


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_conftest_may_mock_before_the_plugin_imports_httpx(suite: Suite, earlier: str) -> None:
    answer_tools(suite)
    (suite.directory / "conftest.py").write_text(textwrap.dedent(EARLIER[earlier]))
    suite.write(joined(SANDBOX, "def test_it(agb_session, agb): use_sandbox(agb_session, agb)"))

    assert "1 passed" in suite.run(), suite.output

    suite.assert_says_nothing_left()
