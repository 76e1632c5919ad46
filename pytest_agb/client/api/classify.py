"""What an answer means: done, or which error. Pure.

Each endpoint tells success in its own way; the ways are those of the official SDK 0.12.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_agb.client import errors
from pytest_agb.client.api import own_words
from pytest_agb.client.api.json_values import text_of
from pytest_agb.client.api.messages import Answer, Request, key_refused


def refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge an answer by HTTP status and ``success``: ``None`` where all is well."""
    if answer.http_status < 400 and answer.payload.get("success") is True:
        return _of_another(request, answer)
    text = answer.message or text_of(answer.fields.get("errMsg")) or "the service gives no reason"
    return _error(_kind(request, answer, own_words.of(text, request)), request, answer, text)


def create_refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge the answer to a create."""
    # A session ID means that a session exists and costs money, whatever the rest of the answer says.
    if created_session_id(answer):
        return None
    text = text_of(answer.fields.get("errMsg")) or answer.message or "the answer names no session"
    words = own_words.of(text, request)
    kind = _kind(request, answer, words)
    of_image = _SAYS_IMAGE.search(f"{answer.code} {words}")
    if of_image and kind in (errors.NotFoundError, errors.PermissionDeniedError, errors.RefusedError):
        kind = errors.ImageNotFoundError
    error = _error(kind, request, answer, text)
    said_no = answer.payload.get("success") is False or answer.fields.get("success") is False
    if answer.http_status < 400 and not said_no:
        error.maybe_executed = True  # "it worked", with nothing to show for it
    return error


def created_session_id(answer: Answer) -> str:
    """The ID of the session that a create made, or an empty string."""
    return text_of(answer.fields.get("sessionId"))


def info_refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge the answer to a call for details."""
    # The SDK looks at `data` alone here; so a service that leaves `success` out is taken at its word.
    if answer.http_status == 200 and answer.fields and answer.payload.get("success") is not False:
        return _of_another(request, answer)
    text = answer.message or "the answer holds no details"
    return _error(_kind(request, answer, own_words.of(text, request)), request, answer, text)


def _of_another(request: Request, answer: Answer) -> errors.AGBError | None:
    """Refuse an answer that speaks of another session than was asked about: what it says is not of ours."""
    asked = text_of((request.body or {}).get("sessionId") or request.query.get("sessionId"))
    named = text_of(answer.fields.get("sessionId"))
    if not asked or not named or named == asked:
        return None
    return errors.ProtocolError(
        answer.hide(f"Could not {request.purpose}: the answer is about session {named}"),
        request_id=answer.hide(answer.request_id),
        http_status=answer.http_status,
        maybe_executed=True,
    )


def tool_refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge the answer to a tool call."""
    if answer.http_status < 400 and answer.payload.get("success") is True:
        if not answer.fields.get("isError"):
            return None
        text = tool_text(answer) or answer.message or "the tool gives no reason"
        return _error(errors.ToolError, request, answer, text)
    text = answer.message or tool_text(answer) or "the service gives no reason"
    # A tool's own "file not found" or "limit exceeded" is no news of the session or the account.
    kind = _kind(request, answer, words="")
    if kind is errors.NotFoundError and answer.http_status != 404 and "session" not in answer.code.lower():
        kind = errors.ToolError
    if kind is errors.RefusedError or (kind is errors.QuotaError and answer.http_status != 429):
        gone = _SAYS_SESSION_IS_GONE.search(own_words.of(text, request))
        kind = errors.NotFoundError if gone and not answer.fields.get("content") else errors.ToolError
    return _error(kind, request, answer, text)


def tool_text(answer: Answer) -> str | None:
    """A tool's output: all text items, else the data of the first image, else nothing."""
    content = answer.fields.get("content")
    items = [item for item in content if isinstance(item, Mapping)] if isinstance(content, list) else []
    texts = [text_of(item.get("text")) for item in items if item.get("type") == "text"]
    if texts:
        return "\n".join(texts)
    images = [text_of(item.get("data")) for item in items if item.get("type") == "image"]
    return images[0] if images else None


#: The service documents no codes and no texts: these are what it, its tests and services of its kind use.
_OF_KEY = re.compile(r"(api|access)[-_.]?key", re.I)
_OF_THROTTLE = re.compile(r"throttl|flow.?control|rate.?limit|too.?many.?requests", re.I)
_OF_QUOTA = re.compile(r"quota|concurren|limit.?exceed|exceed\w*limit", re.I)
_OF_TROUBLE = re.compile(r"internal.?error|service.?unavailable", re.I)
_OF_PERMISSION = re.compile(r"access.?denied|forbidden|unauthori[sz]ed|permission|account", re.I)
_OF_ABSENCE = re.compile(r"not.?found", re.I)
_OF_WHAT_WAS_SENT = re.compile(r"invalid|missing|malformed|unsupported|not.?supported", re.I)

_SAYS_IMAGE = re.compile(r"image", re.I)
_SAYS_SESSION_IS_GONE = re.compile(r"session\b.*not found", re.I)
_SAYS_PERMISSION = re.compile(
    r"api.?key|access.?denied|unauthori[sz]ed|forbidden|account status is invalid", re.I
)
_SAYS_THROTTLE = re.compile(r"throttl|rate.?limit|too many requests|flow.?control", re.I)
_SAYS_QUOTA = re.compile(r"quota|concurren|(?<!un)limit|exceed", re.I)
_SAYS_ABSENCE = re.compile(r"not ?found", re.I)


def classify(http_status: int, code: str, words: str) -> type[errors.AGBError]:
    """Tell what kind of refusal this is: by status and code, and by words where these leave it open.

    ``words`` are the service's own, see `own_words`. Only `AuthenticationError` speaks of all calls of the
    key, so no words make one.
    """
    if http_status == 401 or _OF_KEY.search(code):
        return errors.AuthenticationError
    if _OF_THROTTLE.search(code):
        return errors.ThrottledError
    if _OF_QUOTA.search(code) and not blames_what_was_sent(code):
        return errors.QuotaError
    if http_status >= 500 or _OF_TROUBLE.search(code):
        return errors.UnavailableError
    if http_status == 429:
        throttled = _SAYS_THROTTLE.search(words) or not _SAYS_QUOTA.search(words)
        return errors.ThrottledError if throttled else errors.QuotaError
    if http_status == 403 or _OF_PERMISSION.search(code):
        return errors.PermissionDeniedError
    if http_status == 404 or _OF_ABSENCE.search(code):
        return errors.NotFoundError
    if blames_what_was_sent(code):
        return errors.RefusedError
    return _by_words(words)


def blames_what_was_sent(code: str) -> bool:
    """Whether a code says that the request itself can't be carried out, now or later."""
    return _OF_WHAT_WAS_SENT.match(code) is not None


def _by_words(words: str) -> type[errors.AGBError]:
    if _SAYS_PERMISSION.search(words):
        return errors.PermissionDeniedError
    if _SAYS_THROTTLE.search(words):
        return errors.ThrottledError
    if _SAYS_QUOTA.search(words):
        return errors.QuotaError
    return errors.NotFoundError if _SAYS_ABSENCE.search(words) else errors.RefusedError


def _kind(request: Request, answer: Answer, words: str) -> type[errors.AGBError]:
    kind = classify(answer.http_status, answer.code, words)
    return key_refused(request) if kind is errors.AuthenticationError else kind


def _error(kind: type[errors.AGBError], request: Request, answer: Answer, text: str) -> errors.AGBError:
    text = answer.hide(text)
    return kind(
        text if issubclass(kind, errors.ToolError) else f"Could not {request.purpose}: {text}",
        request_id=answer.hide(answer.request_id),
        code=answer.hide(answer.code),
        http_status=answer.http_status,
        retry_after=answer.retry_after,
        # Behind a trouble of its own, or of a gateway, the service may have done the work.
        maybe_executed=answer.http_status >= 500
        or issubclass(kind, (errors.ToolError, errors.UnavailableError)),
    )
