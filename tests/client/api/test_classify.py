"""Which error an answer becomes: a table of HTTP status, code and words.

Status and code decide where they can; the service's own words where these leave it open; what the request
itself contained never does.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.standin import IMAGE

from pytest_agb import (
    AGB,
    AGBError,
    AuthenticationError,
    CreateSessionParams,
    ImageNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    QuotaError,
    RefusedError,
    ThrottledError,
    ToolError,
    UnavailableError,
)
from pytest_agb.client.api import direct_link, endpoints, own_words
from pytest_agb.client.api.messages import Request, read_answer, redact
from pytest_agb.secret import Secret

CREATE = endpoints.create_session(IMAGE, {}, 60, None)
STATUS = endpoints.get_status("session-1")
INFO = endpoints.get_info("session-1")
TOOL = endpoints.call_tool("session-1", "shell", {}, 1)
LINK = direct_link.call_tool(
    direct_link.DirectLink("https://link.invalid", Secret("t"), {"shell": "server"}),
    "session-1",
    "shell",
    {},
    1,
)


def judged(request: Request, status: int, code: str, message: str, **more: Any) -> AGBError:
    body = json.dumps({"success": False, "code": code, "message": message}).encode()
    error = read_answer(request, status, body, **more)
    assert isinstance(error, AGBError)
    return error


def row(
    request: Request, status: int, code: str, words: str, kind: type[AGBError]
) -> Any:  # a ParameterSet, which pytest does not export
    name = request.path.rpartition("/")[2]
    return pytest.param(
        request, status, code, words, kind, id=f"{name}-{status}-{code}-{words}-{kind.__name__}"
    )


# fmt: off
TABLE = [
    # The key: a 401 or a code that names it, whatever else is said.
    row(CREATE, 401, "", "", AuthenticationError),
    row(CREATE, 401, "", "the image is not found", AuthenticationError),
    row(CREATE, 401, "QuotaExceeded", "quota", AuthenticationError),
    row(CREATE, 400, "InvalidApiKey", "no", AuthenticationError),
    row(CREATE, 403, "Forbidden.ApiKeyExpired", "no", AuthenticationError),
    row(CREATE, 404, "InvalidAccessKeyId.NotFound", "The key is not found", AuthenticationError),
    row(CREATE, 200, "MissingApiKey", "", AuthenticationError),
    row(STATUS, 400, "InvalidApiKey", "no", AuthenticationError),
    row(TOOL, 401, "InvalidApiKey", "wrong", AuthenticationError),
    # Words make none: they speak of this request.
    row(CREATE, 400, "", "the API key has no right to this", PermissionDeniedError),
    row(CREATE, 200, "", "account status is invalid: CEASED", PermissionDeniedError),
    # Nor does what a session's own token does not open.
    row(LINK, 401, "", "", PermissionDeniedError),
    row(LINK, 403, "InvalidAccessToken", "not the session's", PermissionDeniedError),
    # Permission: 403, or a code.
    row(CREATE, 403, "", "", PermissionDeniedError),
    row(CREATE, 403, "", "not within your quota", PermissionDeniedError),
    row(CREATE, 403, "AccessDenied", "no", PermissionDeniedError),
    row(CREATE, 400, "Forbidden.RAM", "limit", PermissionDeniedError),
    row(STATUS, 403, "AccessDenied", "no", PermissionDeniedError),
    row(TOOL, 403, "AccessDenied", "no", PermissionDeniedError),
    # The image.
    row(CREATE, 403, "", "You have no right to this image", ImageNotFoundError),
    row(CREATE, 403, "Forbidden.Image", "", ImageNotFoundError),
    row(CREATE, 404, "", "no such image", ImageNotFoundError),
    row(CREATE, 400, "InvalidImage.NotFound", "its name exceeds the limit", ImageNotFoundError),
    row(CREATE, 200, "InvalidImageId", "Image id is invalid", ImageNotFoundError),
    row(CREATE, 400, "", "image x not found", ImageNotFoundError),
    row(CREATE, 400, "NotSupported", "No such image. Set AGB_API_KEY to use it", ImageNotFoundError),
    # Too much, or too fast: a code, 429, words.
    row(CREATE, 429, "", "", ThrottledError),
    row(CREATE, 429, "", "rate limit exceeded", ThrottledError),
    row(CREATE, 429, "", "the quota is exceeded", QuotaError),
    row(CREATE, 429, "QuotaExceeded", "rate limit exceeded", QuotaError),
    row(CREATE, 429, "Throttling.User", "quota", ThrottledError),
    row(CREATE, 403, "QuotaExceeded.Session", "forbidden", QuotaError),
    row(CREATE, 400, "ConcurrencyLimit", "", QuotaError),
    row(CREATE, 400, "Throttling.User", "Request was denied due to user flow control", ThrottledError),
    row(CREATE, 503, "Throttling.Api", "", ThrottledError),
    row(CREATE, 400, "", "too many requests", ThrottledError),
    row(CREATE, 200, "", "You have reached the concurrency maximum", QuotaError),
    row(CREATE, 400, "", "Account limits exceeded", QuotaError),
    # The service itself.
    row(CREATE, 500, "InternalError", "the quota is not found", UnavailableError),
    row(CREATE, 200, "InternalError", "maximum recursion depth exceeded", UnavailableError),
    row(CREATE, 502, "Backend.NotFound", "not found", UnavailableError),
    row(STATUS, 503, "", "access denied", UnavailableError),
    # What is not there.
    row(STATUS, 404, "", "gone", NotFoundError),
    row(STATUS, 404, "", "the limit of its life is exceeded", NotFoundError),
    row(STATUS, 200, "InvalidSession.NotFound", "Resource [Session] is not found", NotFoundError),
    row(STATUS, 400, "InvalidMcpSession.NotFound", "quota", NotFoundError),
    row(INFO, 200, "", "Session not found", NotFoundError),
    # What was sent.
    row(CREATE, 400, "InvalidParameter.Timeout", "timeout exceeds 3600", RefusedError),
    row(CREATE, 400, "InvalidParameter.LimitExceeded", "quota", RefusedError),
    row(STATUS, 200, "Whatever", "no", RefusedError),
    row(STATUS, 200, "", "an unlimited number of reasons", RefusedError),
    row(STATUS, 200, "", "请求被拒绝", RefusedError),
    # A tool's own words are about what it was to do.
    row(TOOL, 200, "InvalidSession.NotFound", "Resource [Session] is not found", NotFoundError),
    row(TOOL, 200, "", "Session not found", NotFoundError),
    row(TOOL, 404, "", "", NotFoundError),
    row(TOOL, 200, "", "file not found: /a", ToolError),
    row(TOOL, 200, "File.NotFound", "no /a", ToolError),
    row(TOOL, 200, "", "line limit exceeded", ToolError),
    row(TOOL, 200, "", "too many requests", ToolError),
    row(TOOL, 200, "", "KeyError: no API key", ToolError),
    row(TOOL, 429, "", "", ThrottledError),
    row(TOOL, 503, "", "", UnavailableError),
]
# fmt: on


@pytest.mark.parametrize(("request_", "status", "code", "words", "kind"), TABLE)
def test_status_and_code_decide_and_words_where_they_do_not(
    request_: Request, status: int, code: str, words: str, kind: type[AGBError]
) -> None:
    assert type(judged(request_, status, code, words)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, ProtocolError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, ProtocolError),
        (407, UnavailableError),
        (429, ThrottledError),
        (502, UnavailableError),
    ],
)
def test_of_what_is_not_the_apis_the_status_alone_decides(status: int, kind: type[AGBError]) -> None:
    page = b"<html>quota exceeded, api key forbidden, image not found</html>"

    assert type(read_answer(CREATE, status, page)) is kind


#: Names made of the very words that tell errors apart.
NAMES = [
    "my-unlimited-image",
    "quota",
    "api-key-tester",
    "AGB_API_KEY",
    "forbidden",
    "access denied",
    "throttle.test",
    "concurrency-1",
    "rate limit exceeded",
    "session not found",
    "too many requests",
    "[.*]+(quota",
    "配额-quota",
    "a",
]


def named(name: str) -> dict[str, Request]:
    """Requests that hold ``name`` in each of the places that the user fills."""
    return {
        "image": endpoints.create_session(name, {}, 60, None),
        "label": endpoints.create_session(IMAGE, {"l": name}, 60, None),
        "label's name": endpoints.create_session(IMAGE, {name: "l"}, 60, None),
        "policy": endpoints.create_session(IMAGE, {}, 60, name),
        "session": endpoints.get_status(name),
        "session in the query": endpoints.keep_alive(name),
        "labels in the query": endpoints.set_labels("session-1", {name: name}),
        "page": endpoints.list_sessions({"l": "m"}, 10, name),
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", list(named("")))
def test_what_the_request_contained_says_nothing(name: str, place: str) -> None:
    for quoted in ("What [{}] says is no", "no: '{}'", "{}: no", "不行{}吗", "{0} or {0}"):
        error = judged(named(name)[place], 400, "", quoted.format(name))

        assert type(error) is RefusedError, quoted
        assert quoted.format(name) in error.message  # people still read it


@pytest.mark.parametrize("name", NAMES)
def test_what_the_service_says_of_it_still_counts(name: str) -> None:
    image = endpoints.create_session(name, {}, 60, None)

    assert type(judged(image, 200, "", f"Image [{name}] is not found")) is ImageNotFoundError
    assert type(judged(image, 200, "", f"No quota for {name}")) is (
        RefusedError if name == "quota" else QuotaError
    )
    assert type(judged(endpoints.get_status(name), 200, "", f"{name} is not found")) is NotFoundError


def test_the_arguments_of_a_tool_say_nothing_of_its_session() -> None:
    tool = endpoints.call_tool("session-1", "read_file", {"path": "/session is not found"}, 1)

    assert type(judged(tool, 200, "", "no such file: /session is not found")) is ToolError


def test_the_address_says_nothing() -> None:
    request = replace(STATUS, url="https://quota.invalid:8443/limit")

    for quoted in ("https://quota.invalid:8443/limit", "quota.invalid:8443", "/mcp/getSessionInfo"):
        assert type(judged(request, 200, "", f"no {quoted}")) is RefusedError


@pytest.mark.parametrize(
    ("quoted", "left"),
    [
        (["a"], "an apple,   pear"),
        (["apple", "an apple"], " , a pear"),
        (["", " "], "an apple, a pear"),
        (["A PEAR"], "an apple,  "),
    ],
)
def test_only_whole_words_are_taken_out(quoted: list[str], left: str) -> None:
    assert own_words.without("an apple, a pear", quoted) == left


@pytest.mark.parametrize("key", ["a", "e", "limit", "not found", "quota", "image", "session", "o", "404"])
def test_a_key_of_few_letters_changes_no_verdict(key: str) -> None:
    """Masking comes after judging; and what was judged is masked."""
    for request, status, code, words, kind in (row.values for row in TABLE):
        error = judged(request, status, code, words, hide=lambda value: redact(value, Secret(key), "K"))

        assert type(error) is kind, (status, code, words)
        assert words.replace(key, "[K]") in error.message
        assert error.code == code.replace(key, "[K]")


def test_a_masked_key_is_no_word() -> None:
    """``[API key]`` stands where it was: that is our word and not the service's."""
    error = judged(STATUS, 400, "", "ako-1 says no", hide=lambda value: redact(value, Secret("ako-1")))

    assert error.message.endswith("[API key] says no")
    assert type(error) is RefusedError


@pytest.mark.parametrize("image", ["my-unlimited-image", "api-key-tester", "quota"])
def test_an_image_that_is_not_there_is_that_whatever_its_name(agb: AGB, image: str) -> None:
    result = agb.create(CreateSessionParams(image, labels={"suite": "forbidden quota"}))

    assert type(result.error) is ImageNotFoundError
