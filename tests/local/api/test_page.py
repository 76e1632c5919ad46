"""The page at a session's ``resource_url``: who may see it, and that it shows what is there, as text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from support.local_server import Api, Sandbox, Server, serving


@dataclass
class Visitor:
    """A browser without a screen, at one session's page."""

    url: str
    token: str
    http: httpx.Client
    #: What the page's links have, once it is open.
    key: str = ""

    def get(self, **query: str) -> httpx.Response:
        resource = httpx.URL(self.url).params["resourceId"]
        known = {"resourceId": resource, "key": self.key}
        return self.http.get(self.url.partition("?")[0], params={**known, **query})

    def open(self) -> httpx.Response:
        answer = self.http.post(self.url, data={"token": self.token}, follow_redirects=True)
        self.key = answer.url.params.get("key", "")
        return answer


def describe(sandbox: Sandbox) -> dict[str, Any]:
    data: dict[str, Any] = sandbox.api.post("/mcp/getSession", {"sessionId": sandbox.session_id})["data"]
    return data


@pytest.fixture
def stranger(sandbox: Sandbox) -> Iterator[Visitor]:
    """Who has the URL, and has not given the token."""
    data = describe(sandbox)
    with httpx.Client(trust_env=False, timeout=30) as http:
        yield Visitor(data["resourceUrl"], data["token"], http)


@pytest.fixture
def visitor(stranger: Visitor) -> Visitor:
    """Who has given it."""
    assert stranger.open().status_code == 200
    return stranger


def test_the_url_alone_shows_nothing(sandbox: Sandbox, stranger: Visitor) -> None:
    sandbox.shell("echo precious > a.txt")
    for query in ({}, {"path": "a.txt"}, {"path": "a.txt", "raw": ""}):
        answer = stranger.get(**query)
        assert "session.get_token()" in answer.text
        assert "precious" not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "é", "x" * 3000])
def test_a_wrong_token_opens_nothing(stranger: Visitor, token: str) -> None:
    answer = stranger.http.post(stranger.url, data={"token": token})

    assert answer.status_code == 403
    assert "not this session's token" in answer.text
    assert not stranger.http.cookies


def test_a_form_without_end_is_not_read(stranger: Visitor) -> None:
    assert stranger.http.post(stranger.url, content=b"token=" + b"x" * 10_000).status_code == 413


def test_what_opens_one_page_opens_no_other(api: Api, visitor: Visitor) -> None:
    (cookie,) = visitor.http.cookies.jar
    with api.session() as other:
        data = describe(other)
        visitor.http.cookies.set(f"agb-{data['resourceId']}", cookie.value or "", domain=cookie.domain)
        visitor.url = data["resourceUrl"]
        assert "asks for the session" in visitor.get().text


def test_neither_the_cookie_nor_the_link_opens_it_alone(visitor: Visitor) -> None:
    """Servers in sandboxes get the cookie, if they are browsed: it is sent to every port of the host."""
    assert "asks for the session" in visitor.http.get(visitor.url).text
    visitor.http.cookies.clear()
    assert "asks for the session" in visitor.get().text


def test_the_browser_keeps_neither_token_nor_key(api: Api, sandbox: Sandbox, visitor: Visitor) -> None:
    (cookie,) = visitor.http.cookies.jar

    assert visitor.token not in (cookie.value or "")
    assert cookie.has_nonstandard_attr("HttpOnly")
    page = visitor.get().text
    assert visitor.token not in page
    assert api.http.headers["authorization"].partition(" ")[2] not in page


def test_labels_life_and_image(api: Api, visitor: Visitor, sandbox: Sandbox) -> None:
    api.post(
        "/sdk/SetLabel", {"sessionId": sandbox.session_id, "Labels": json.dumps({"project": "demo <1>"})}
    )

    page = visitor.get().text

    assert "<th>project</th><td>demo &lt;1&gt;</td>" in page
    assert "agb-code-space-1" in page
    assert "of 1800 s at the most" in page
    assert "of 300 s, then it is released" in page


def test_calls_and_what_they_answered(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.shell("echo one; exit 3")
    sandbox.code("print('<two>')")
    sandbox.tool("read_file", path="missing")
    sandbox.tool("no_such_tool")

    page = visitor.get().text

    summaries = [line for line in page.splitlines() if line.startswith("<summary>")]
    assert [line.split()[1:4:2] for line in summaries] == [
        ["no_such_tool", 'class="failed">failed</span>'],
        ["read_file", 'class="failed">failed</span>'],
        ["run_code", 'class="ok">ok</span>'],
        ["shell", 'class="failed">failed</span>'],
    ]
    assert "echo one; exit 3" in page
    assert "stdout:\none\n" in page
    assert "exit_code: 3" in page
    assert "print(&#39;&lt;two&gt;&#39;)" in page
    assert "not found: missing" in page


def test_values_of_environment_variables_are_not_kept(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.shell("true", envs={"API_TOKEN": "precious"})

    assert "API_TOKEN=..." in visitor.get().text
    for envs in ('{"API_TOKEN": "precious"}', ["API_TOKEN=precious"], {"API_TOKEN": ["precious"]}):
        ok, text = sandbox.tool("shell", command="true", envs=envs)
        assert not ok
        assert "'envs'" in text
        assert "precious" not in text
    assert "precious" not in visitor.get().text


def test_many_and_long_calls_are_cut(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.tool("write_file", path="long", content="x" * 1_000_000)
    for number in range(100):
        sandbox.shell(f"echo call {number}")

    page = visitor.get().text

    assert page.count("<summary>") == 100
    assert "write_file" not in page  # the oldest is forgotten
    sandbox.tool("write_file", path="long", content="x" * 1_000_000)
    assert "(1000000 characters in all)" in visitor.get().text
    sandbox.tool("x" * 1_000_000, **{"y" * 1_000_000: "z"})
    sandbox.tool("edit_file", path="long", edits=[{"oldText": "a" * 9000, "newText": "b" * 9000}] * 1000)
    for _ in range(30):
        sandbox.shell("echo " + "x" * 10_000)
    assert len(visitor.get().text) < 200_000


def test_files_are_browsed_opened_and_downloaded(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.shell("mkdir 'a b'; printf '<i>é</i>' > 'a b/ü&.html'; head -c 9000000 /dev/zero > zeros")

    assert 'path=.%2Fa+b">a b/</a>' in visitor.get().text
    assert "ü&amp;.html</a>" in visitor.get(path="a b").text
    shown = visitor.get(path="a b/ü&.html")
    assert "&lt;i&gt;é&lt;/i&gt;" in shown.text
    assert "<i>" not in shown.text
    assert "this is no text" in visitor.get(path="zeros").text
    download = visitor.get(path="zeros", raw="")
    assert download.content == bytes(9_000_000)
    assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''zeros"
    assert download.headers["content-type"] == "application/octet-stream"


def test_a_long_text_is_shown_from_its_beginning(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.tool("write_file", path="long", content="xé" * 200_000)  # the cut goes through a character

    page = visitor.get(path="long").text

    assert "Only the beginning is shown" in page
    assert "xéxé" in page
    assert "�" not in page


def test_names_that_are_no_text_are_shown_and_lead_nowhere(visitor: Visitor, sandbox: Sandbox) -> None:
    names = r"(b'a\nb', b'c\rd', 'p\u2028q'.encode(), b'r\xffs')"
    sandbox.code(f"for name in {names}: open(name, 'w').close()")

    page = visitor.get().text

    assert "<li>a\ufffdb</li>" in page
    assert "<li>r\ufffds</li>" in page
    assert visitor.get(path="c\rd").status_code == 200
    assert "p\u2028q</a>" in page


def test_a_large_directory_is_shown_from_its_beginning(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.shell("mkdir many; cd many; seq -w 1 1234 | xargs touch")

    page = visitor.get(path="many").text

    assert page.count("<li>") == 1000
    assert "and 234 more" in page


def test_a_session_in_trouble_still_has_its_page(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.shell("echo something; rm -rf ~ 2>/dev/null; chmod 000 ~")

    answer = visitor.get()

    assert answer.status_code == 200
    assert "echo something" in answer.text


def test_what_is_not_there_is_said(visitor: Visitor) -> None:
    answer = visitor.get(path="missing")

    assert answer.status_code == 404
    assert "not found: missing" in answer.text


def test_nothing_of_a_sandbox_can_run_in_the_browser(visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.tool("write_file", path="x.svg", content="<svg xmlns='http://www.w3.org/2000/svg' onload='1'/>")

    for query in ({}, {"path": "x.svg"}, {"path": "x.svg", "raw": ""}):
        headers = visitor.get(**query).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_other_methods_are_refused(visitor: Visitor) -> None:
    assert visitor.http.delete(visitor.url).status_code == 405


def test_a_session_that_ended_has_no_page(api: Api, visitor: Visitor, sandbox: Sandbox) -> None:
    sandbox.release()

    answer = visitor.get()

    assert answer.status_code == 404
    assert "No such session" in answer.text


@pytest.fixture(scope="module")
def short() -> Iterator[Server]:
    with serving("--isolation", "any", "--idle-timeout", "1") as server:
        yield server


def test_looking_keeps_no_session_alive(short: Server) -> None:
    api = Api(short)
    with api.http, httpx.Client(trust_env=False) as http:
        data = describe(api.create())
        visitor = Visitor(data["resourceUrl"], data["token"], http)
        visitor.open()
        began = time.monotonic()
        while visitor.get().status_code == 200:
            visitor.get(path=".")
            visitor.get(path="/etc/passwd", raw="")
            assert time.monotonic() - began < 20


def test_our_client_has_the_token(server: Server) -> None:
    from pytest_agb import AGB, AGBError, CreateSessionParams

    with AGB(server.api_key, endpoint=server.endpoint) as agb:
        session = agb.create(CreateSessionParams(image_id="agb-code-space-1")).session
        assert session is not None
        with httpx.Client(trust_env=False) as http:
            assert Visitor(session.resource_url, session.get_token(), http).open().status_code == 200
        assert session.get_token() not in repr(vars(session))
        session.delete()
        with pytest.raises(AGBError):
            session.get_token()
