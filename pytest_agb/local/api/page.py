"""The page at a session's ``resource_url``: its labels and life, its calls, its files.

Only to be looked at. What it shows comes out of a sandbox, so nothing of it may run in the browser: the
templates escape, and the headers forbid scripts.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hmac
import json
import posixpath
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from pytest_agb.local.sessions import tool_schemas
from pytest_agb.local.sessions.registry import RUNNING
from pytest_agb.local.sessions.sandbox import SandboxError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import jinja2
    from starlette.requests import Request

    from pytest_agb.local.sessions.call_log import Entry
    from pytest_agb.local.sessions.registry import Session, Sessions

PATH = "/session"
#: Bytes of a file that the page shows; a download has all of them, in pieces.
SHOWN_BYTES = 256 * 1024
#: Entries of a directory that are shown: a sandbox may make any number.
SHOWN_FILES = 1000
_PIECE_BYTES = 1024 * 1024
_MAX_FORM_BYTES = 4096
#: Seconds that a look at a file may take: a sandbox may be stopped.
_FILE_SECONDS = 10.0
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
#: The images that are shown, by how they begin. No SVG: that is a document.
_IMAGES = {
    b"\x89PNG\r\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def url(base_url: str, session: Session, code: str) -> str:
    """Return the URL of a session's page; ``code`` is there for who expects one, and opens nothing."""
    return f"{base_url}{PATH}?{urlencode({'resourceId': session.resource_id, 'authcode': code})}"


class _FileError(Exception):
    """A file can't be shown; the message is the sandbox's."""


class Page:
    """Answers at `PATH`."""

    def __init__(self, live: Sessions) -> None:
        self._live = live

    async def answer(self, request: Request) -> Response:
        """Show the page, or ask for the session's token.

        Looking does not count as use: it keeps no session alive.
        """
        session = self._live.by_resource(request.query_params.get("resourceId", ""))
        if session is None or session.status != RUNNING:
            return _html("ended", HTTPStatus.NOT_FOUND)
        if request.method == "POST":
            return await self._open(request, session)
        if request.method not in ("GET", "HEAD"):
            return Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": "GET, HEAD, POST"})
        # Both: a browser sends cookies to all ports of this host, sandboxes' servers among them, and keeps
        # URLs in its history.
        cookie, key = request.cookies.get(_cookie(session), ""), request.query_params.get("key", "")
        if not (_is(cookie, _half(session, "cookie")) and _is(key, _half(session, "link"))):
            return _html("token", session=session, wrong=False)
        try:
            return await self._show(session, request.query_params, body=request.method == "GET")
        except (_FileError, SandboxError) as error:
            return _html(
                "missing", HTTPStatus.NOT_FOUND, session=session, link=_link(session), reason=str(error)
            )

    async def _open(self, request: Request, session: Session) -> Response:
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > _MAX_FORM_BYTES:
                    return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        if not _is(token, session.token.reveal()):
            return _html("token", HTTPStatus.FORBIDDEN, session=session, wrong=True)
        answer = RedirectResponse(_link(session), HTTPStatus.SEE_OTHER, headers=_HEADERS)
        answer.set_cookie(
            _cookie(session), _half(session, "cookie"), path=PATH, httponly=True, samesite="strict"
        )
        return answer

    async def _show(self, session: Session, query: Any, *, body: bool) -> Response:
        path = query.get("path")
        if path is None:
            try:
                files, reason = await _listing(session, "."), ""
            except (_FileError, SandboxError) as error:  # the rest tells why, perhaps
                files, reason = _Listing([]), str(error)
            return _html(
                "overview",
                session=session,
                life=self._live.life(session),
                calls=[_Shown.of(entry) for entry in reversed(session.history.entries)],
                files=files,
                reason=reason,
            )
        described = await _tool(session, "get_file_info", path=path)
        info = dict(line.partition(": ")[::2] for line in described.split("\n"))
        if info.get("isDirectory") == "true":
            return _html(
                "directory",
                session=session,
                link=_link(session),
                path=path,
                parent=_link(session, path=posixpath.normpath(posixpath.join(path, ".."))),
                files=await _listing(session, path),
            )
        size = int(info.get("size") or 0)
        if query.get("raw") is not None:
            return await _download(session, path, body=body)
        begin = await _bytes(session, path, 0, SHOWN_BYTES)
        image = any(begin.startswith(magic) for magic in _IMAGES)
        return _html(
            "file",
            session=session,
            link=_link(session),
            path=path,
            raw=_link(session, path=path, raw=""),
            folder=_link(session, path=posixpath.dirname(path) or "."),
            size=size,
            image=image,
            text=None if image else _as_text(begin, whole=len(begin) < SHOWN_BYTES),
            cut=len(begin) == SHOWN_BYTES and size > SHOWN_BYTES,
        )


@dataclass(frozen=True)
class _Shown:
    """A call as the page shows it."""

    at: str
    tool: str
    took: str
    verdict: str
    arguments: dict[str, str]
    answer: str

    @classmethod
    def of(cls, entry: Entry) -> _Shown:
        at = time.strftime("%H:%M:%S", time.gmtime(entry.began)) + f".{int(entry.began * 1000) % 1000:03}"
        took = "" if entry.seconds is None else f"{entry.seconds:.3f} s"
        said, went_wrong = _readable(entry.answer)
        verdict = "running" if entry.ok is None else "ok" if entry.ok and not went_wrong else "failed"
        return cls(at, entry.tool, took, verdict, entry.arguments, said)


def _readable(answer: str) -> tuple[str, bool]:
    """A tool's answer for people, and whether it tells of code or a command that failed.

    Those of code and commands are objects; what is empty in them is left out, and lines are lines.
    """
    try:
        fields = json.loads(answer)
    except (ValueError, RecursionError):  # text, or an object that was cut
        fields = None
    if not isinstance(fields, dict):
        return answer, False
    lines = []
    for name, value in fields.items():
        text = "".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value
        text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
        if text:
            lines.append(f"{name}:\n{text}" if "\n" in text else f"{name}: {text}")
    return "\n".join(lines), bool(fields.get("executionError") or fields.get("exit_code"))


def _cookie(session: Session) -> str:
    return f"agb-{session.resource_id}"


def _half(session: Session, where: str) -> str:
    """What a browser keeps in the token's place, half of it in the cookie, half in the links."""
    return hmac.new(session.token.reveal().encode(), where.encode(), "sha256").hexdigest()


def _is(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _link(session: Session, **query: str) -> str:
    query = {"resourceId": session.resource_id, "key": _half(session, "link"), **query}
    return f"{PATH}?{urlencode(query)}"


async def _tool(session: Session, tool: str, **given: Any) -> str:
    """Call a tool behind the session's back: not as its use, and not for its history."""
    try:
        arguments = tool_schemas.check(tool, given)
    except tool_schemas.ArgumentError as error:
        raise _FileError(str(error)) from error
    try:
        answer = await asyncio.wait_for(session.sandbox.call(tool, arguments, _FILE_SECONDS), _FILE_SECONDS)
    except TimeoutError:
        raise _FileError(f"the sandbox did not answer within {_FILE_SECONDS:g} s") from None
    if not answer.ok:
        raise _FileError(answer.text)
    return answer.text


@dataclass(frozen=True)
class _Listing:
    """The first names of a directory, those of directories with a slash, and what each links to."""

    names: list[tuple[str, str]]
    more: int = 0


async def _listing(session: Session, path: str) -> _Listing:
    text = await _tool(session, "list_directory", path=path)
    lines = text.split("\n", SHOWN_FILES)
    more = lines.pop().count("\n") + 1 if len(lines) > SHOWN_FILES else 0
    found = []
    for line in lines:
        kind, _, name = line.partition(" ")
        if name:
            # What has no name in text can't be asked for by it.
            target = "" if "\ufffd" in name else _link(session, path=posixpath.join(path, name))
            found.append((f"{name}/" if kind == "[DIR]" else name, target))
    return _Listing(found, more)


async def _bytes(session: Session, path: str, offset: int, length: int) -> bytes:
    text = await _tool(session, "read_file", path=path, offset=offset, length=length, format="binary")
    return base64.b64decode(text)


def _as_text(data: bytes, *, whole: bool) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # Where the file is cut, so may be a character.
        return data[: error.start].decode() if not whole and error.start > len(data) - 4 else None


async def _download(session: Session, path: str, *, body: bool) -> Response:
    first = await _bytes(session, path, 0, _PIECE_BYTES)

    async def pieces() -> AsyncIterator[bytes]:
        # An error breaks the connection: what came so far must not be taken for the whole file.
        piece, offset = first if body else b"", 0
        while piece:
            yield piece
            if len(piece) < _PIECE_BYTES:
                return
            offset += len(piece)
            piece = await _bytes(session, path, offset, _PIECE_BYTES)

    kind = next((kind for magic, kind in _IMAGES.items() if first.startswith(magic)), None)
    name = quote(posixpath.basename(path), safe="")
    return StreamingResponse(
        pieces(),
        media_type=kind or "application/octet-stream",
        headers={**_HEADERS, "content-disposition": f"attachment; filename*=UTF-8''{name}"},
    )


def _html(part: str, status: int = HTTPStatus.OK, **values: Any) -> Response:
    text = _template().render(part=part, **values)
    return HTMLResponse(text.encode("utf-8", "replace"), status, _HEADERS)


@functools.cache
def _template() -> jinja2.Template:
    import jinja2  # only who looks pays for it

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
