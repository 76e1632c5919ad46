"""The HTTP API as values: what is sent, and what came back.

Pure, as are its neighbours `endpoints` and `classify`: nothing here sends, waits or reads a clock, so that
any driver can use it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from json import loads
from typing import Any

from pytest_agb.client import errors
from pytest_agb.client.api.json_values import text_of
from pytest_agb.secret import SHORTEST_SECRET, Secret


class Repeat(enum.Enum):
    """When a request that failed may be sent again."""

    NEVER = "never"
    #: Only where it is certain that nothing was sent: no connection could be opened.
    IF_NOT_SENT = "if not sent"
    #: Sending it twice does what sending it once does.
    ALWAYS = "always"


#: Takes secrets out of a JSON value. A function, since a string would show up among the local variables of a
#: traceback.
Hide = Callable[[Any], Any]


@dataclass(frozen=True)
class Answer:
    """A JSON object that came back, whatever it says."""

    http_status: int
    payload: Mapping[str, Any] = field(repr=False)
    request_id: str = ""
    retry_after: float | None = None
    #: What is kept of an answer, in an error for example, goes through this.
    hide: Hide = field(default=lambda value: value, repr=False)

    @property
    def data(self) -> Any:
        """The envelope's payload."""
        return self.payload.get("data")

    @property
    def fields(self) -> Mapping[str, Any]:
        """``data`` where it is an object, else an empty one."""
        return self.data if isinstance(self.data, Mapping) else {}

    @property
    def code(self) -> str:
        """The service's dotted code."""
        return text_of(self.payload.get("code"))

    @property
    def message(self) -> str:
        """The service's own words."""
        return text_of(self.payload.get("message"))


#: Sees the answer as it came, secrets too: with them taken out, a key of one letter leaves no word whole.
Judge = Callable[["Request", Answer], "errors.AGBError | None"]


@dataclass(frozen=True)
class Request:
    """One call: what is sent, what it is for, and how its answer is to be judged."""

    #: What the call does, for messages: ``create a session of image 'x'``.
    purpose: str
    method: str
    path: str
    judge: Judge = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeat: Repeat = Repeat.ALWAYS
    #: How long the answer may take, where that is more than the client's own timeout.
    timeout_seconds: float | None = None
    #: Where it goes, if that is not the API's endpoint, and what opens that in place of the API key.
    url: str = ""
    token: Secret | None = None
    #: Brings an answer into the API's form.
    read: Callable[[Answer], Answer] = field(default=lambda answer: answer, repr=False)


def read_answer(
    request: Request,
    http_status: int,
    body: bytes,
    request_id: str = "",
    retry_after: float | None = None,
    hide: Hide = lambda value: value,
) -> Answer | errors.AGBError:
    """Read a response's body and judge it; of anything that failed, only what ``hide`` makes of it is kept.

    An error is returned and not raised: it would carry the body, among the local variables of its traceback.
    """
    try:
        payload = loads(body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict) or not payload.keys() & {"success", "code", "data", "requestId"}:
        return _not_the_api(request, http_status, _start_of(body, hide), hide(request_id), retry_after)
    if "requestId" in payload:
        request_id = text_of(payload["requestId"])
    answer = Answer(http_status, payload, request_id, retry_after, hide)
    refusal = request.judge(request, request.read(answer))
    if refusal is not None:
        return refusal
    if not _all_is_well(http_status, payload):
        payload = hide(payload)
    return request.read(replace(answer, payload=payload, request_id=hide(request_id)))


#: A part of a secret is one itself if it is half of it, and so many characters at least.
_LEAST_PART = 8


def redact(value: Any, secret: Secret, name: str = "API key") -> Any:
    """Replace ``secret``, and what is half of it or more, by its name in every string of a JSON value."""
    pending: list[tuple[Any, Any]] = []  # no recursion: an answer may be nested as deep as Python can read

    def copy(item: Any) -> Any:
        if isinstance(item, str):
            return _blot_out(item, secret, name)
        if not isinstance(item, (dict, list)):
            return item
        new: Any = type(item)()
        pending.append((item, new))
        return new

    result = copy(value)
    while pending:
        old, new = pending.pop()
        if isinstance(old, dict):
            new.update((copy(key), copy(item)) for key, item in old.items())
        else:
            new.extend(map(copy, old))
    return result


def redact_envs(text: str, envs: object) -> str:
    """Replace the values of environment variables, which may be secrets, by their names."""
    if not isinstance(envs, Mapping):
        return text
    values = [(name, value) for name, value in envs.items() if isinstance(value, str)]
    for name, value in sorted(values, key=lambda item: -len(item[1])):  # one may be a part of another
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, f"[value of {name}]")
    return text


def _blot_out(text: str, secret: Secret, name: str) -> str:
    whole = len(secret.reveal())
    least = min(whole, max(_LEAST_PART, -(-whole // 2)))

    def parts(length: int) -> Iterator[str]:
        return (secret.reveal()[start : start + length] for start in range(whole - length + 1))

    if not secret or not any(part in text for part in parts(least)):
        return text
    for length in range(whole, least - 1, -1):
        for part in parts(length):
            text = text.replace(part, f"[{name}]")
    return text


def key_refused(request: Request) -> type[errors.AGBError]:
    """The error for a 401. What a session's own token does not open says nothing of the API key."""
    return errors.AuthenticationError if request.token is None else errors.PermissionDeniedError


def _not_the_api(
    request: Request, http_status: int, start: str, request_id: str, retry_after: float | None
) -> errors.AGBError:
    kinds = {401: key_refused(request), 403: errors.PermissionDeniedError, 429: errors.ThrottledError}
    kind: type[errors.AGBError] = kinds.get(http_status, errors.ProtocolError)
    if http_status >= 500 or http_status == 407:
        kind = errors.UnavailableError
    return kind(
        f"Could not {request.purpose}: HTTP {http_status} came without the API's JSON object, "
        + (f"it begins with {start!r}" if start else "it is empty"),
        request_id=request_id,
        http_status=http_status,
        retry_after=retry_after,
        maybe_executed=kind in (errors.ProtocolError, errors.UnavailableError) and http_status != 407,
    )


def _all_is_well(http_status: int, payload: Mapping[str, Any]) -> bool:
    data = payload.get("data")
    return (
        http_status < 400
        and payload.get("success") is True
        and not (isinstance(data, dict) and (data.get("isError") or data.get("success") is False))
    )


def _start_of(body: bytes, hide: Hide) -> str:
    text: str = hide(body.decode("utf-8", "replace"))  # before the cut, which may halve the secret
    return " ".join(text.split())[:120]
