"""Whatever is sent, the answer is a JSON object that says what was wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.local_server import IMAGE, Api, Sandbox


@pytest.mark.parametrize("key", [None, "", "Bearer", "Bearer wrong", "Bearer wröng", "Basic eDp5"])
def test_a_wrong_key_opens_nothing(api: Api, key: str | None) -> None:
    headers = {b"authorization": key.encode() if key else b""}
    for path in ("/mcp/createSession", "/nowhere"):
        response = api.http.post(path, params={"imageId": IMAGE}, json={}, headers=headers)
        assert response.status_code == 401
        assert response.json()["code"] == "InvalidApiKey"
        assert "data" not in response.json()


def test_every_answer_has_a_request_id(api: Api) -> None:
    for response in (
        api.http.get("/sdk/ListSession"),
        api.http.post("/nowhere"),
        api.http.post("/mcp", json={}),
    ):
        assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", response.json()["requestId"])
        assert response.headers["x-request-id"] == response.json()["requestId"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000])
def test_a_malformed_body_is_refused(api: Api, body: bytes) -> None:
    response = api.http.post("/mcp/getSession", content=body)
    assert response.status_code == 400
    assert "the body is no JSON" in response.json()["message"]


def test_unknown_paths_and_methods(api: Api) -> None:
    assert api.http.post("/nowhere").status_code == 404
    assert "/nowhere" in api.http.post("/nowhere").json()["message"]
    assert api.http.get("/mcp/createSession").status_code == 405


@pytest.mark.parametrize(
    ("query", "body", "words"),
    [
        ({}, {}, "imageId is missing"),
        ({"imageId": IMAGE}, {"labels": "{"}, "labels is no JSON"),
        ({"imageId": IMAGE}, {"labels": "[]"}, "labels is no JSON object"),
        ({"imageId": IMAGE}, {"timeout": "soon"}, "timeout must be a number of seconds"),
        ({"imageId": IMAGE}, {"timeout": -1}, "timeout must be a number of seconds"),
        ({"imageId": IMAGE}, {"persistenceDataList": "x"}, "persistenceDataList is no array"),
        ({"imageId": IMAGE}, {"persistenceDataList": ["x"]}, "persistenceDataList is no array"),
        ({"imageId": IMAGE}, {"persistenceDataList": [{"contextId": "c"}]}, "needs contextId and path"),
        (
            {"imageId": IMAGE},
            {"persistenceDataList": [{"contextId": "c", "path": "/x"}]},
            "Context [c] is not found",
        ),
    ],
)
def test_a_bad_create_makes_nothing(
    api: Api, query: dict[str, str], body: dict[str, Any], words: str
) -> None:
    answer = api.post("/mcp/createSession", body, **query)
    assert answer["success"] is False
    assert words in answer["message"]
    assert "data" not in answer


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("{", "policy is no JSON"),
        ([1], "policy is no JSON object"),
        (0, "policy is no JSON object"),
        ({"uploadPolicy": "x"}, "uploadPolicy is no JSON object"),
    ],
)
def test_a_bad_policy_makes_nothing(api: Api, policy: Any, words: str) -> None:
    context = api.http.get("/sdk/GetContext", params={"name": "bad policy", "allowCreate": "true"}).json()
    binding = {"contextId": context["data"]["id"], "path": "/tmp/x", "policy": policy}
    answer = api.post("/mcp/createSession", {"persistenceDataList": [binding]}, imageId=IMAGE)
    assert (answer["success"], answer["code"]) == (False, "InvalidParameter")
    assert words in answer["message"]


@pytest.mark.parametrize("policy", ["", "{}", None])
def test_no_policy_is_the_default_one(api: Api, policy: Any) -> None:
    context = api.http.get("/sdk/GetContext", params={"name": "no policy", "allowCreate": "true"}).json()
    binding = {"contextId": context["data"]["id"], "path": "/tmp/x", "policy": policy}
    with api.session(persistenceDataList=[binding]) as sandbox:
        assert sandbox.session_id


@pytest.mark.parametrize(
    ("method", "path", "query", "words"),
    [
        ("GET", "GetContext", {}, "id or name is missing"),
        ("GET", "GetContext", {"id": "c", "allowCreate": "true"}, "id can't be given together with"),
        ("GET", "GetContext", {"name": "x" * 300, "allowCreate": "true"}, "has 1 to 256 characters"),
        ("GET", "ListContexts", {"maxResults": "0"}, "maxResults must be a number from 1"),
        ("GET", "ListContexts", {"nextToken": "x"}, "nextToken must be a number"),
        ("POST", "ModifyContext", {"id": "c"}, "name is missing"),
        ("POST", "DeleteContext", {}, "id is missing"),
        ("POST", "GetContextFileUploadUrl", {"contextId": "c"}, "Context [c] is not found"),
        ("POST", "DescribeContextFiles", {}, "contextId is missing"),
        ("POST", "SyncContext", {"sessionId": "SESSION", "mode": "both"}, "mode must be upload or download"),
        ("POST", "SyncContext", {"sessionId": "SESSION", "path": "/x"}, "must be given together"),
        ("POST", "SyncContext", {}, "sessionId is missing"),
        ("GET", "GetContextInfo", {"sessionId": "session-unknown"}, "Session not found"),
        (
            "POST",
            "GetAndLoadInternalContext",
            {"sessionId": "SESSION", "contextTypes": "[]"},
            "file_transfer",
        ),
    ],
)
def test_a_bad_request_about_contexts_is_named(
    api: Api, sandbox: Sandbox, method: str, path: str, query: dict[str, str], words: str
) -> None:
    query = {name: value.replace("SESSION", sandbox.session_id) for name, value in query.items()}
    answer = api.http.request(method, f"/sdk/{path}", params=query)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert answer.json()["success"] is False


def test_an_unknown_image_has_its_code(api: Api) -> None:
    response = api.http.post("/mcp/createSession", params={"imageId": "nope"}, json={})
    assert response.status_code == 400
    assert response.json()["code"] == "InvalidImage.NotFound"
    assert response.json()["message"].startswith("Image [nope] is not found.")


@pytest.mark.parametrize(
    "query",
    [
        {"maxResults": "0"},
        {"maxResults": "x"},
        {"maxResults": "-1"},
        {"nextToken": "x"},
        {"nextToken": "-5"},
        {"labels": "x"},
    ],
)
def test_a_bad_list_is_refused_by_name(api: Api, query: dict[str, str]) -> None:
    answer = api.http.get("/sdk/ListSession", params=query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["message"]


def test_an_unknown_session_is_not_found_everywhere(api: Api) -> None:
    for name in (
        "getSession",
        "getSessionInfo",
        "getMcpResource",
        "releaseSessionAsync",
        "refreshSessionIdleTime",
    ):
        answer = api.post(f"/mcp/{name}", {"sessionId": "session-unknown"})
        assert (answer["code"], answer["message"]) == ("InvalidMcpSession.NotFound", "Session not found")
        assert "data" not in answer


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("fly", {}, "Tool [fly] is not found"),
        ("shell", {}, "'command' is missing"),
        ("shell", {"command": 5}, "'command' must be of type string"),
        ("shell", {"command": "true", "timeout_ms": -1}, "'timeout_ms' must be between"),
        ("shell", {"command": "true", "timeout_ms": True}, "'timeout_ms' must be of type integer"),
        ("run_code", {"code": "1", "language": "python", "timeout_s": 10**400}, "'timeout_s' is too large"),
        ("shell", {"command": "true", "envs": {"A": 1}}, "'envs' must map names to strings"),
        ("shell", {"command": "a\0b"}, "NUL"),
        ("run_code", {"code": "1", "language": "cobol"}, "'language' must be one of"),
        ("read_file", {"path": "x", "offset": -1}, "'offset' must not be negative"),
        ("write_file", {"path": "x", "content": "y", "mode": "sideways"}, "'mode' must be one of"),
        ("edit_file", {"path": "x", "edits": [{"oldText": "a"}]}, "{oldText, newText}"),
    ],
)
def test_bad_arguments_are_named(sandbox: Sandbox, tool: str, arguments: dict[str, Any], words: str) -> None:
    ok, text = sandbox.tool(tool, **arguments)
    assert not ok
    assert words in text


def test_a_tools_error_leaves_the_outer_message_empty(sandbox: Sandbox) -> None:
    """The SDK would show it in place of the tool's own text."""
    answer = sandbox.api.post("/mcp", {"name": "fly", "sessionId": sandbox.session_id, "args": "{}"})
    assert (answer["success"], answer["message"], answer["data"]["isError"]) == (True, "", True)


def test_arguments_may_be_an_object_or_text(sandbox: Sandbox) -> None:
    for args in ({"path": "/tmp"}, json.dumps({"path": "/tmp"})):
        answer = sandbox.api.post(
            "/mcp", {"name": "get_file_info", "sessionId": sandbox.session_id, "args": args}
        )
        assert answer["data"]["isError"] is False
    answer = sandbox.api.post("/mcp", {"name": "get_file_info", "sessionId": sandbox.session_id, "args": "{"})
    assert answer["message"] == "args is no JSON"


def test_labels_in_a_query_may_have_plus_signs_for_blanks(sandbox: Sandbox) -> None:
    url = f"/sdk/SetLabel?sessionId={sandbox.session_id}&Labels=%7B%22a%22%3A+%22b+c%22%7D"
    assert sandbox.api.http.post(url, json={}).json()["success"]
    answer = sandbox.api.http.get("/sdk/GetLabel", params={"sessionId": sandbox.session_id}).json()
    assert json.loads(answer["data"]["labels"]) == {"a": "b c"}
