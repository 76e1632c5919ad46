"""What an answer means: done, or which error. Pure.

Each endpoint tells success in its own way; the ways are those of the official SDK 0.12.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_agb.client import errors
from pytest_agb.client.wire import Answer, Request, text_of


def refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge an answer by HTTP status and ``success``: ``None`` where all is well."""
    if answer.http_status < 400 and answer.payload.get("success") is True:
        return None
    text = answer.message or text_of(answer.fields.get("errMsg")) or "the service gives no reason"
    return _error(classify(answer.http_status, answer.code, text), request, answer, text)


def create_refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge the answer to a create."""
    # A session ID means that a session exists and costs money, whatever the rest of the answer says.
    if created_session_id(answer):
        return None
    text = text_of(answer.fields.get("errMsg")) or answer.message or "the answer names no session"
    kind = classify(answer.http_status, answer.code, text)
    if _IMAGE.search(f"{answer.code} {text}") and kind in (errors.NotFoundError, errors.RefusedError):
        kind = errors.ImageNotFoundError
    error = _error(kind, request, answer, text)
    if answer.http_status < 400 and answer.payload.get("success") is True and not answer.fields:
        error.maybe_executed = True  # "it worked", with nothing to show for it
    return error


def created_session_id(answer: Answer) -> str:
    """The ID of the session that a create made, or an empty string."""
    return text_of(answer.fields.get("sessionId"))


def info_refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge the answer to a call for details."""
    # The SDK looks at `data` alone here; so a service that leaves `success` out is taken at its word.
    if answer.http_status == 200 and answer.fields and answer.payload.get("success") is not False:
        return None
    text = answer.message or "the answer holds no details"
    return _error(classify(answer.http_status, answer.code, text), request, answer, text)


def tool_refusal(request: Request, answer: Answer) -> errors.AGBError | None:
    """Judge the answer to a tool call."""
    if answer.http_status < 400 and answer.payload.get("success") is True:
        if not answer.fields.get("isError"):
            return None
        text = tool_text(answer) or answer.message or "the tool gives no reason"
        return _error(errors.ToolError, request, answer, text)
    text = answer.message or tool_text(answer) or "the service gives no reason"
    # A tool's own "file not found" or "limit exceeded" is no news of the session or the account.
    kind = classify(answer.http_status, answer.code, "" if answer.fields.get("content") else text)
    about_session = "notfound" in answer.code.lower() or re.search(r"session\b.*not found", text, re.I)
    if kind is errors.NotFoundError and not about_session and answer.http_status != 404:
        kind = errors.ToolError
    if kind is errors.RefusedError or (kind is errors.QuotaError and answer.http_status != 429):
        kind = errors.ToolError
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


_IMAGE = re.compile(r"image", re.I)
_AUTH = re.compile(r"api.?key|access.?denied|unauthori[sz]ed|forbidden|account status is invalid", re.I)
_QUOTA = re.compile(r"quota|concurren", re.I)
_LIMIT = re.compile(r"limit|exceed", re.I)
_THROTTLE = re.compile(r"throttl|rate.?limit|too many requests|flow.?control", re.I)


def classify(http_status: int, code: str, text: str) -> type[errors.AGBError]:
    """Tell what kind of refusal this is. The service documents no codes, so its words count too."""
    words = f"{code} {text}"
    if http_status in (401, 403) or _AUTH.search(words):
        return errors.AuthenticationError
    if _THROTTLE.search(words):
        return errors.ThrottledError
    if _QUOTA.search(words) or (
        _LIMIT.search(words) and not code.startswith(("InvalidParam", "InternalError"))
    ):
        return errors.QuotaError
    if http_status == 429:
        return errors.ThrottledError
    if http_status >= 500:
        return errors.UnavailableError
    if http_status == 404 or "notfound" in code.lower() or re.search(r"not ?found", text, re.I):
        return errors.NotFoundError
    return errors.RefusedError


def _error(kind: type[errors.AGBError], request: Request, answer: Answer, text: str) -> errors.AGBError:
    return kind(
        text if issubclass(kind, errors.ToolError) else f"Could not {request.purpose}: {text}",
        request_id=answer.request_id,
        code=answer.code,
        http_status=answer.http_status,
        retry_after=answer.retry_after,
        # Behind a gateway's 5xx the service itself may have done the work.
        maybe_executed=answer.http_status >= 500 or issubclass(kind, errors.ToolError),
    )
