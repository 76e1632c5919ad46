"""Code that streams by the official SDK, unmodified: its output arrives while it runs."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.deadline import eventually
from support.local_server import Api
from support.official_sdk import WAIT, Heard
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_output_arrives_while_the_code_runs(sdk_session: Any, heard: Heard) -> None:
    code = f"import sys\nprint('hello')\nprint('there', file=sys.stderr)\n{WAIT}print('end')\n6 * 7"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(heard.run, sdk_session, code)
        try:
            eventually(lambda: heard.stdout and heard.stderr, "what was printed first arrives")
            assert not running.done()
        finally:
            sdk_session.file.write("go", "")
        result = running.result(30)
    assert (result.success, result.error_message, result.error) == (True, "", None)
    assert "".join(heard.stdout) == "hello\nend\n"
    assert (heard.stdout, heard.stderr, heard.errors) == (result.logs.stdout, ["there\n"], [])
    assert (result.result, result.execution_count) == ("42", 1)
    assert result.execution_time > 0
    assert len(result.request_id) == 32  # the invocation


def test_streamed_and_other_calls_share_the_state(sdk_session: Any, heard: Heard) -> None:
    assert heard.run(sdk_session, "x = 41").success
    assert sdk_session.code.run("x += 1", "python").success
    assert heard.run(sdk_session, "x").result == "42"


def test_results_come_in_all_formats_between_what_is_printed(sdk_session: Any, heard: Heard) -> None:
    result = heard.run(
        sdk_session,
        "from IPython.display import HTML, JSON, SVG, Image, Latex, Markdown\n"
        "display(HTML('<b>'), Markdown('# m'), SVG('<svg/>'), Latex('$x$'), JSON([1]))\n"
        "display(Image(data=b'PNG', format='png'), Image(data=b'JPEG', format='jpeg'))\n"
        "display({'application/vnd.vegalite.v5+json': {'mark': 'bar'}}, raw=True)\n"
        "'main'",
    )
    html, markdown, svg, latex, json_, png, jpeg, chart, main = result.results
    assert (html.html, markdown.markdown, svg.svg, latex.latex) == ("<b>", "# m", "<svg/>", "$x$")
    assert (json_.json, chart.chart, main.text) == ([1], {"mark": "bar"}, "'main'")
    assert (base64.b64decode(png.png), base64.b64decode(jpeg.jpeg)) == (b"PNG", b"JPEG")
    assert [item.is_main_result for item in result.results] == [False] * 8 + [True]


def test_an_error_has_name_text_and_traceback(sdk_session: Any, heard: Heard) -> None:
    result = heard.run(sdk_session, "print('before')\n1 / 0")
    assert not result.success
    assert (result.error.name, result.error.value) == ("ZeroDivisionError", "division by zero")
    assert heard.errors == [{"code": "ZeroDivisionError", "message": "division by zero"}]
    assert result.error_message.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert heard.stdout == ["before\n"]


def test_a_timeout_keeps_the_state(sdk_session: Any, heard: Heard) -> None:
    result = heard.run(sdk_session, "x = 42\nprint('going')\nwhile True: pass", timeout_s=1)
    assert not result.success
    assert result.error.name == "TimeoutError"
    assert "variables are kept" in result.error_message
    assert heard.stdout == ["going\n"]
    assert heard.run(sdk_session, "x").result == "42"


def test_an_interpreter_that_dies_is_told_of(sdk_session: Any, heard: Heard) -> None:
    result = heard.run(sdk_session, "print('last words', flush=True)\nimport os\nos._exit(3)")
    assert (result.success, result.error.name) == (False, "InterpreterDied")
    assert "exited with status 3" in result.error_message
    assert heard.stdout == ["last words\n"]


def test_other_languages_stream_too(sdk_session: Any, heard: Heard) -> None:
    result = heard.run(sdk_session, "console.log('from node');\n1 + 1", "javascript")
    if shutil.which("node", path="/usr/local/bin:/usr/bin:/bin"):
        assert (result.success, result.result, heard.stdout) == (True, "2", ["from node\n"])
    else:
        assert "there is no node" in result.error_message
        assert heard.errors


def test_characters_cut_in_two_by_a_pipe_arrive_whole(sdk_session: Any, heard: Heard) -> None:
    code = "import os\nfor byte in '☃'.encode() * 50:\n    os.write(1, bytes([byte]))\n    os.sched_yield()"
    assert heard.run(sdk_session, code).success
    assert "".join(heard.stdout) == "☃" * 50


def test_a_lot_of_output_is_cut_and_says_so(sdk_session: Any, heard: Heard) -> None:
    result = heard.run(sdk_session, "for _ in range(30): print('x' * 1024 * 1024)")
    assert result.success, result.error_message
    text, _, rest = "".join(heard.stdout).partition("\n[")
    assert rest == "output truncated: 10485760 of 31457310 bytes are shown]\n"
    assert len(text) == 10485760


def test_a_result_too_big_for_a_message_says_what_it_leaves_out(sdk_session: Any, heard: Heard) -> None:
    # The SDK's library hangs up on messages of more than 1 MiB.
    result = heard.run(
        sdk_session,
        "display({'text/plain': 'a page', 'text/html': 'x' * 2_000_000, 'image/png': b'PNG'}, raw=True)\n"
        "'y' * 2_000_000",
    )
    assert result.success, result.error_message
    page, main = result.results
    assert (page.html, base64.b64decode(page.png)) == (None, b"PNG")
    assert page.text.startswith("a page\n[too much for a streamed result")
    assert "text/html, 2000002 bytes" in page.text
    assert main.is_main_result
    assert "text/plain, 2000002 characters" in main.text


def test_concurrent_streams_of_a_session_do_not_mix(sdk_session: Any) -> None:
    sdk_session._get_ws_client().connect()  # threads that make the SDK's first one at once disturb each other

    def run(number: int) -> tuple[bool, str, str]:
        heard = Heard()
        result = heard.run(sdk_session, f"for _ in range(20): print({number})\n{number}")
        return result.success, result.result, "".join(heard.stdout)

    with ThreadPoolExecutor(8) as pool:
        for number, told in enumerate(pool.map(run, range(8))):
            assert told == (True, str(number), f"{number}\n" * 20)


def test_a_cancelled_stream_is_over_for_the_caller(sdk_session: Any) -> None:
    from agb.modules.ws.exceptions import WsCancelledError

    client = sdk_session._get_ws_client()
    started = threading.Event()
    handle = client.call_stream(
        target="wuying_codespace",
        data={
            "method": "run_code",
            "mode": "stream",
            "params": {"language": "python", "timeoutS": 60, "code": f"print(0)\n{WAIT}"},
        },
        on_event=lambda invocation, data: started.set(),
        on_end=None,
        on_error=None,
    )
    assert started.wait(20)
    handle.cancel()
    with pytest.raises(WsCancelledError):
        handle.wait_end()
    sdk_session.file.write("go", "")
    assert Heard().run(sdk_session, "'the session lives'").success


def test_a_session_that_ends_ends_its_streams(agb_client: Any, api: Api) -> None:
    from agb.session_params import CreateSessionParams

    session = agb_client.create(CreateSessionParams(image_id="agb-code-space-1")).session
    heard = Heard()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(heard.run, session, f"print('up')\n{WAIT}")
        eventually(lambda: heard.stdout, "the code runs")
        assert api.post("/mcp/releaseSessionAsync", {"sessionId": session.session_id})["success"]
        result = running.result(20)
    assert not result.success
    assert "released" in result.error_message
    assert len(heard.errors) == 1
    session._get_ws_client().close()


def test_a_streaming_session_is_not_idle(agb_client: Any) -> None:
    from agb.session_params import CreateSessionParams

    session = agb_client.create(
        CreateSessionParams(image_id="agb-code-space-1", idle_release_timeout=1)
    ).session
    result = Heard().run(session, "import time\ntime.sleep(3)\n'still here'")
    assert result.result == "'still here'"
    assert session.delete().success


def test_a_session_found_again_streams_too(agb_client: Any, sdk_session: Any) -> None:
    found = agb_client.get(sdk_session.session_id).session
    try:
        assert Heard().run(found, "1 + 1").result == "2"
    finally:
        found._get_ws_client().close()


class TestTheWire:
    """What the SDK can't be made to send."""

    @pytest.fixture
    def description(self, api: Api, sdk_session: Any) -> dict[str, Any]:
        data: dict[str, Any] = api.post("/mcp/getSession", {"sessionId": sdk_session.session_id})["data"]
        return data

    @pytest.fixture
    def connection(self, description: dict[str, Any]) -> Any:
        headers = {"X-Access-Token": description["token"]}
        with connect(description["wsUrl"], additional_headers=headers, proxy=None) as connection:
            yield connection

    def say(self, connection: ClientConnection, message: Any) -> dict[str, Any]:
        connection.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
        answer: dict[str, Any] = json.loads(connection.recv(20))
        return answer

    @pytest.mark.parametrize("token", ["", "wrong", "ü"])
    def test_only_the_sessions_token_opens_its_stream(self, description: dict[str, Any], token: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            connect(
                description["wsUrl"],
                additional_headers={"X-Access-Token": token.encode().decode("latin1")},
                proxy=None,
            )
        assert caught.value.response.status_code == 403

    def test_there_is_no_stream_of_an_unknown_session(self, description: dict[str, Any]) -> None:
        headers = {"X-Access-Token": description["token"]}
        for url in (description["wsUrl"] + "x", description["wsUrl"].replace("/stream/", "/other/")):
            with pytest.raises(InvalidStatus) as caught:
                connect(url, additional_headers=headers, proxy=None)
            assert caught.value.response.status_code == 403

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            ("{", "the message is no JSON"),
            ("[]", "the message is no JSON object"),
            (b"\xff", "the message is no JSON"),
            ({"data": {}}, "invocationId is missing"),
            ({"invocationId": "i"}, "data is no JSON object"),
            ({"invocationId": "i", "data": "{"}, "data is no JSON"),
            ({"invocationId": "i", "data": {"method": "fly"}}, "only run_code can be streamed, not 'fly'"),
            ({"invocationId": "i", "data": {"method": "run_code"}}, "params is no JSON object"),
            ({"invocationId": "i", "data": {"method": "run_code", "params": {}}}, "'code' is missing"),
            (
                {
                    "invocationId": "i",
                    "data": {
                        "method": "run_code",
                        "params": {"code": "1", "language": "python", "timeoutS": -1},
                    },
                },
                "'timeout_s' must be between",
            ),
        ],
    )
    def test_a_bad_invocation_is_refused_and_the_next_one_runs(
        self, connection: ClientConnection, message: Any, words: str
    ) -> None:
        answer = self.say(connection, message)
        assert answer["data"]["phase"] == "error"
        assert words in answer["data"]["error"]["message"]
        assert answer["invocationId"] == (
            message.get("invocationId", "") if isinstance(message, dict) else ""
        )
        good = {
            "requestId": "r",
            "data": json.dumps({"method": "run_code", "params": {"code": "1;", "language": "python"}}),
        }
        assert self.say(connection, good)["data"]["status"] == "finished"

    def test_the_end_of_the_session_closes_the_connection(self, api: Api) -> None:
        sandbox = api.create()
        data = api.post("/mcp/getSession", {"sessionId": sandbox.session_id})["data"]
        with connect(
            data["wsUrl"], additional_headers={"X-Access-Token": data["token"]}, proxy=None
        ) as connection:
            sandbox.release()
            with pytest.raises(ConnectionClosed) as caught:
                connection.recv(20)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1001, "the session ended")

    def test_the_token_is_shown_nowhere_else(
        self, api: Api, sdk_session: Any, description: dict[str, Any]
    ) -> None:
        listed = api.http.get("/sdk/ListSession").text
        info = api.http.post("/mcp/getMcpResource", json={"sessionId": sdk_session.session_id}).text
        assert description["token"] not in listed + info
        assert description["token"] not in description["wsUrl"]


def test_a_client_that_leaves_leaves_the_session_working(api: Api) -> None:
    with api.session() as sandbox:
        data = api.post("/mcp/getSession", {"sessionId": sandbox.session_id})["data"]
        code = "open('started', 'w').close()\nimport time\nfor n in range(50): print(n); time.sleep(0.01)"
        parameters = {"code": code, "language": "python"}
        headers = {"X-Access-Token": data["token"]}
        with connect(data["wsUrl"], additional_headers=headers, proxy=None) as connection:
            message = {"invocationId": "i", "data": {"method": "run_code", "params": parameters}}
            connection.send(json.dumps(message))
            eventually(lambda: sandbox.tool("get_file_info", path="started")[0], "the code runs")
            connection.socket.close()
        assert sandbox.value("n") == "49"  # it ran to its end
