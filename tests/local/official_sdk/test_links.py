"""The official SDK, unmodified: links to ports of a session, tools by a link, and what there is not."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.deadline import eventually
from support.local_server import Api, Sandbox, Server, serving

#: Echoes all that comes on a port, by IPv4 or by IPv6 only.
_ECHO = """
import socketserver, socket
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    address_family = socket.{family}
    allow_reuse_address = True
Server(("{host}", {port}), Echo).serve_forever()
"""


@pytest.fixture
def port() -> int:
    """One of the range; without namespaces the tests of two workers share the machine's."""
    return random.randint(30100, 30199)


def _start(sdk_session: Any, program: str) -> None:
    started = sdk_session.command.execute(f"nohup {program} > $TMPDIR/log 2>&1 & echo up", timeout_ms=20_000)
    assert started.stdout == "up\n"


def _echo(sdk_session: Any, port: int, family: str = "AF_INET", host: str = "127.0.0.1") -> None:
    sdk_session.file.write("echo.py", _ECHO.format(port=port, family=family, host=host))
    _start(sdk_session, "python3 echo.py")


def _answers(url: str) -> bytes:
    """What an echo behind a link says; empty if there is none."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        try:
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            said = b""
            while piece := connection.recv(1024):
                said += piece
        except OSError:  # nothing listens inside: it is closed at once, whatever is under way
            return b""
    return said


@pytest.mark.needs_namespaces
def test_a_web_server_in_a_session_is_reached_by_a_link(sdk_session: Any, port: int) -> None:
    sdk_session.file.mkdir("site")
    sdk_session.file.write("site/page.html", "<p>from inside</p>")
    _start(sdk_session, f"python3 -m http.server {port} --bind 127.0.0.1 --directory site")
    link = sdk_session.get_link("https", port)
    assert link.success, link.error_message
    assert link.data.startswith("http://127.0.0.1:")
    with httpx.Client(trust_env=False) as client:

        def page() -> httpx.Response | None:
            try:
                return client.get(f"{link.data}page.html")
            except httpx.TransportError:
                return None

        eventually(page, "the web server answers")
        answer = page()
        assert answer is not None
        assert answer.text == "<p>from inside</p>"
        assert client.get(f"{link.data}nope").status_code == 404
    # The same one each time.
    assert sdk_session.get_link("https", port).data == link.data


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")])
def test_bytes_go_both_ways_by_either_version_of_ip(
    sdk_session: Any, port: int, family: str, host: str
) -> None:
    _echo(sdk_session, port, family, host)
    link = sdk_session.get_link("wss", port)
    assert link.data.startswith("ws://127.0.0.1:")
    assert sdk_session.get_link(port=port).data == link.data
    eventually(lambda: _answers(link.data) == b"hello", "the echo answers")
    parts = urlsplit(link.data)
    data = bytes(range(256)) * 8192

    async def much() -> bytes:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        sending = asyncio.create_task(send())
        said = await reader.read(-1)
        await sending
        writer.close()
        return said

    assert asyncio.run(much()) == data


@pytest.mark.needs_namespaces
def test_several_connections_at_once(sdk_session: Any, port: int) -> None:
    _echo(sdk_session, port)
    link = sdk_session.get_link("wss", port).data
    eventually(lambda: _answers(link) == b"hello", "the echo answers")
    parts = urlsplit(link)
    connections = [socket.create_connection((parts.hostname or "", parts.port or 0), 10) for _ in range(20)]
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
    for number, connection in enumerate(connections):
        assert connection.recv(10) == b"%d" % number
        connection.close()


@pytest.mark.needs_namespaces
def test_where_nothing_listens_the_connection_is_closed(sdk_session: Any, port: int) -> None:
    assert _answers(sdk_session.get_link("https", port).data) == b""
    assert sdk_session.command.execute("echo alive", timeout_ms=20_000).stdout == "alive\n"


@pytest.mark.needs_namespaces
def test_the_same_port_of_two_sessions_is_two_things(api: Api, sandbox: Sandbox) -> None:
    with api.session() as other:
        urls = []
        for number, one in enumerate((sandbox, other)):
            one.shell(f"mkdir site; echo {number} > site/n; (cd site; nohup python3 -m http.server 30100 &)")
            answer = api.http.get(
                "/internet/getLink",
                params={"sessionId": one.session_id, "protocolType": "https", "port": "30100"},
            ).json()
            urls.append(answer["data"]["url"])
        with httpx.Client(trust_env=False, transport=httpx.HTTPTransport(retries=0)) as client:

            def numbers() -> list[str]:
                try:
                    return [client.get(f"{url}n").text for url in urls]
                except httpx.TransportError:
                    return []

            eventually(numbers, "both answer")
            assert numbers() == ["0\n", "1\n"]


@pytest.mark.needs_namespaces
def test_a_link_ends_with_its_session(agb_client: Any, port: int) -> None:
    from agb.session_params import CreateSessionParams

    session = agb_client.create(CreateSessionParams(image_id="agb-code-space-1")).session
    _echo(session, port)
    parts = urlsplit(session.get_link("wss", port).data)
    address = (parts.hostname or "", parts.port or 0)
    eventually(lambda: _answers(f"ws://{parts.netloc}/") == b"hello", "the echo answers")
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert session.delete().success
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10).close()
    assert not session.get_link("wss", port).success


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"protocolType": "http", "port": "30100"}, "protocolType must be https or wss, not 'http'"),
        ({"port": "30099"}, "port must be a number from 30100 to 30199"),
        ({"port": "30200"}, "port must be a number from 30100 to 30199"),
        ({"port": "x"}, "port must be a number"),
        ({}, "which is not available on the local backend; give a port from 30100 to 30199"),
        ({"protocolType": "wss"}, "set AGB_API_KEY to use the AGB cloud"),
    ],
)
def test_a_link_that_cannot_be_had_says_why(
    api: Api, sandbox: Sandbox, query: dict[str, str], words: str
) -> None:
    answer = api.http.get("/internet/getLink", params={"sessionId": sandbox.session_id, **query})
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_the_sdk_takes_a_refused_link_for_a_failure(sdk_session: Any) -> None:
    for arguments in ((), ("http", 30100), ("https", 80)):
        refused = sdk_session.get_link(*arguments)
        assert (refused.success, refused.error_message) == (False, "Failed to get link")


# ---------------------------------------------------------------------- tools by a link


@pytest.fixture(scope="module")
def link_server() -> Iterator[Server]:
    with serving("--isolation", "any", "--link-route") as running:
        yield running


@pytest.fixture
def link_client(sdk: Any, link_server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    from agb.config import Config

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    return sdk.AGB(api_key=link_server.api_key, cfg=Config(endpoint=link_server.endpoint, timeout_ms=60_000))


@pytest.fixture
def link_session(link_client: Any) -> Iterator[Any]:
    from agb.session_params import CreateSessionParams

    created = link_client.create(CreateSessionParams(image_id="agb-code-space-1"))
    assert created.success, created.error_message
    yield created.session
    created.session.delete()


def test_by_default_a_session_has_no_link_url(sdk_session: Any) -> None:
    assert sdk_session.link_url == ""


def test_every_kind_of_tool_works_by_a_link(link_client: Any, link_session: Any) -> None:
    assert link_session.link_url
    assert link_session.get_token()
    for session in (link_session, link_client.get(link_session.session_id).session):
        ran = session.command.execute("echo by link", timeout_ms=20_000)
        assert (ran.success, ran.stdout) == (True, "by link\n")
        assert ran.request_id.startswith("link-")  # the SDK's own name for it: it went that way
        failed = session.command.execute("echo why >&2; exit 3", timeout_ms=20_000)
        assert (failed.success, failed.exit_code, failed.stderr) == (False, 3, "why\n")
        late = session.command.execute("sleep 60", timeout_ms=200)
        assert (late.success, late.exit_code) == (False, 124)
        assert session.code.run("6 * 7", "python").results[0].text == "42"
        assert session.file.write("/tmp/x", "ä" * 60_000).success
        assert session.file.read("/tmp/x").content == "ä" * 60_000
        missing = session.file.read("/tmp/nope")
        assert not missing.success
        assert "not found: /tmp/nope" in missing.error_message
        assert session.get_metrics().metrics.cpu_count > 0
        direct = session.call_mcp_tool("shell", {"command": "echo direct", "timeout_ms": 20_000})
        assert json.loads(direct.data)["stdout"] == "direct\n"


def test_a_directory_is_watched_by_a_link(link_session: Any) -> None:
    link_session.file.mkdir("/tmp/w")
    seen: list[Any] = []
    watch = link_session.file.watch_dir("/tmp/w", seen.extend, interval=0.05)
    watch.start()
    assert watch.ready_event.wait(10)
    link_session.file.write("/tmp/w/a", "x")
    eventually(lambda: [event.path for event in seen] == ["/tmp/w/a"], "the new file is reported")
    watch.stop_event.set()
    watch.join(10)


def test_a_sessions_token_opens_its_tools_only(link_server: Server, link_session: Any) -> None:
    url = f"{link_session.link_url}/callTool"
    body = {"tool": "shell", "args": {"command": "true"}}
    token = link_session.get_token()
    with httpx.Client(trust_env=False) as client:
        for headers in ({}, {"X-Access-Token": "wrong"}, {"authorization": f"Bearer {link_server.api_key}"}):
            refused = client.post(url, json=body, headers=headers)
            assert refused.status_code == 403
            assert "data" not in refused.json()
        headers = {"X-Access-Token": token}
        assert client.post(url, json=body, headers=headers).status_code == 200
        other = url.replace(link_session.session_id, "session-other")
        assert client.post(other, json=body, headers=headers).status_code == 400
        assert client.get(url, headers=headers).status_code == 405
        # It is no key.
        key = {"authorization": f"Bearer {token}"}
        assert client.get(f"{link_server.endpoint}/sdk/ListSession", headers=key).status_code == 401
        assert client.post(url, json={"args": {}}, headers=headers).json()["message"] == "tool is missing"


def test_after_delete_a_link_opens_nothing(link_client: Any) -> None:
    from agb.session_params import CreateSessionParams

    session = link_client.create(CreateSessionParams(image_id="agb-code-space-1")).session
    assert session.delete().success
    gone = session.command.execute("true")
    assert not gone.success
    assert "400" in gone.error_message


# ---------------------------------------------------------------------- what there is not


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.computer.screen.get_size(),
        lambda session: session.computer.screen.capture(),
        lambda session: session.computer.mouse.click(1, 1),
        lambda session: session.computer.keyboard.type("x"),
        lambda session: session.computer.window.list_root_windows(),
        lambda session: session.computer.app.start("xterm"),
        lambda session: session.call_mcp_tool("page_use_navigate", {"url": "http://x"}),
        lambda session: session.call_mcp_tool("tap", {"x": 1, "y": 1}),
        lambda session: session.call_mcp_tool("screenshot", {}),
    ],
)
def test_a_desktop_or_phone_is_not_here_and_the_answer_says_what_to_do(sdk_session: Any, call: Any) -> None:
    result = call(sdk_session)
    assert not result.success
    assert "not available on the local backend" in result.error_message
    assert "AGB_API_KEY" in result.error_message


def test_a_browser_is_not_here(sdk_session: Any, api: Api) -> None:
    from agb.modules.browser import BrowserOption

    assert not sdk_session.browser.initialize(BrowserOption())
    for path in ("/browser/init", "/internet/getCdpLink"):
        answer = api.post(path, sessionId=sdk_session.session_id)
        assert answer["code"] == "NotSupported"
        assert "A browser is not available on the local backend" in answer["message"]
        assert "Set AGB_API_KEY" in answer["message"]


def test_an_unknown_tool_is_something_else(sdk_session: Any) -> None:
    result = sdk_session.call_mcp_tool("fly", {})
    assert not result.success
    assert "Tool [fly] is not found" in result.error_message


def test_every_listed_tool_is_there_and_says_what_it_takes(sdk_session: Any) -> None:
    tools = sdk_session.list_mcp_tools()
    assert tools.success
    names = {tool.name for tool in tools.tools}
    assert {"shell", "run_code", "get_file_change", "get_metrics", "search_files", "edit_file"} <= names
    for tool in tools.tools:
        assert tool.server
        assert tool.description
        assert tool.input_schema["type"] == "object"
        result = sdk_session.call_mcp_tool(tool.name, {})
        required = tool.input_schema["required"]
        assert result.success is (not required), tool.name
        if required:
            assert f"argument {required[0]!r} is missing" in result.error_message
    unknown = sdk_session.list_mcp_tools("no-such-image")
    assert not unknown.success
    assert "no-such-image" in unknown.error_message


def test_our_client_goes_that_way_too(link_server: Server) -> None:
    from pytest_agb import AGB, CreateSessionParams

    with AGB(link_server.api_key, endpoint=link_server.endpoint) as agb:
        with agb.create(CreateSessionParams("agb-code-space-1")).check().session as session:
            found = agb.get(session.session_id).check().session
            for one in (session, found):
                assert one.direct_link is not None
                assert one.code.run("6 * 7", "python").check().result == "42"
                assert one.command.execute("echo hi").check().output == "hi\n"
                one.file.write("a.txt", "text").check()
                assert one.file.read("a.txt").check().content == "text"
                assert "not found" in one.file.read("missing").error_message
        assert not found.command.execute("true").success


@pytest.mark.needs_landlock
def test_with_landlock_a_link_needs_the_machines_network(port: int) -> None:
    with serving("--isolation", "landlock") as server, (api := Api(server)).http, api.session() as sandbox:
        query = {"sessionId": sandbox.session_id, "port": str(port), "protocolType": "https"}
        refused = api.http.get("/internet/getLink", params=query).json()
        assert refused["code"] == "NotSupported"
        assert "Landlock keeps it from TCP" in refused["message"]
        assert "--network=host" in refused["message"]
    arguments = ("--isolation", "landlock", "--network", "host")
    with serving(*arguments) as server, (api := Api(server)).http, api.session() as sandbox:
        sandbox.tool(
            "write_file", path="echo.py", content=_ECHO.format(port=port, family="AF_INET", host="127.0.0.1")
        )
        sandbox.shell("nohup python3 echo.py > $TMPDIR/log 2>&1 &")
        query = {"sessionId": sandbox.session_id, "port": str(port), "protocolType": "https"}
        url = api.http.get("/internet/getLink", params=query).json()["data"]["url"]
        eventually(lambda: _answers(url) == b"hello", "the echo answers")
