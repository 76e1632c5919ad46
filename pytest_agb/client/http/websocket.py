"""Carries one streamed program over a WebSocket of its own.

A connection per program: nothing to share between threads or to carry over a fork, and nothing that stays
open. It is the library by which the official SDK streams, and imported only by those who stream.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_agb import real
from pytest_agb.client import errors
from pytest_agb.client.api import classify, own_words
from pytest_agb.client.api.messages import redact
from pytest_agb.client.http import network_guard
from pytest_agb.client.http.private_httpx import httpx
from pytest_agb.client.http.transport import TOKEN_HEADER, USER_AGENT, is_loopback

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_agb.client.api.stream_link import StreamLink
    from pytest_agb.client.client_settings import ClientSettings
    from pytest_agb.secret import Secret

#: Seconds that a good-bye may take; nothing depends on its answer.
_CLOSE_SECONDS = 1.0


class _MaskedLogger(logging.LoggerAdapter[logging.Logger]):
    """The library's own logger: at level DEBUG that tells of all headers, and with them the token."""

    def __init__(self, token: Secret) -> None:
        super().__init__(logging.getLogger("websockets.client"))
        self._token = token

    def log(self, level: int, msg: object, *args: object, **more: Any) -> None:
        if self.isEnabledFor(level):
            text = str(msg) % args if args else str(msg)
            more["stacklevel"] = more.get("stacklevel", 1) + 1  # it is the library that speaks
            self.logger.log(level, "%s", redact(text, self._token, "token"), **more)


def messages(
    link: StreamLink, first: str, purpose: str, timeout_seconds: float, settings: ClientSettings
) -> Generator[str | bytes, None, None]:
    """Connect, send ``first`` and give what comes back, until the caller has enough.

    Raises:
        AGBError: ``websockets`` is not installed, there is no connection, it breaks, or the caller has not
            enough ``timeout_seconds`` after ``first`` was sent.
    """
    try:
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import ClientConnection, connect
    except ImportError:
        raise errors.InvalidRequestError(
            f"Could not {purpose}: streaming needs the package websockets",
            hint="pip install 'pytest-agb[stream]'",
        ) from None

    class Connection(ClientConnection):
        """One that follows no redirect: the library would take the token along."""

        def handshake(self, *args: Any, **kwargs: Any) -> None:
            try:
                super().handshake(*args, **kwargs)
            except InvalidStatus as error:
                if 300 <= error.response.status_code < 400:
                    raise _RedirectError(error.response.headers.get("location", "")) from None
                raise

    failure: errors.AGBError | None = None
    sent = False
    limit = settings.connect_timeout_seconds
    end = real.boot_seconds() + limit
    try:
        with connect(
            link.url,
            additional_headers={TOKEN_HEADER: link.token.reveal()},
            user_agent_header=USER_AGENT,
            ssl=httpx.create_ssl_context() if link.url.startswith("wss:") else None,
            proxy=None if is_loopback(link.url) else True,
            open_timeout=limit,
            logger=_MaskedLogger(link.token),
            close_timeout=_CLOSE_SECONDS,
            max_size=settings.answer_bytes,  # a picture may have many megabytes
            create_connection=Connection,
        ) as connection:
            _bound_sending(connection.socket, end - real.boot_seconds())
            connection.send(first)
            sent = True
            end = real.boot_seconds() + timeout_seconds
            limit = timeout_seconds
            while True:
                yield connection.recv(max(0.0, end - real.boot_seconds()))
    except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
        late = not sent and real.boot_seconds() >= end  # the library calls it a connection that broke
        failure = _explain(TimeoutError() if late else error, purpose, link, sent, limit)
    except Exception as error:
        by = network_guard.guard()
        if by is None or sent:
            raise
        failure = network_guard.refused(
            f"Could not {purpose}: ", link.url.partition("?")[0], by, error, sent=False
        )
    if failure is not None:  # raised out here: the library's own frames hold the token
        raise failure


class _RedirectError(OSError):
    """The service redirects the stream elsewhere."""


def _bound_sending(connection: socket.socket, seconds: float) -> None:
    """Have a send fail that takes longer: the library knows no time for it."""
    whole, part = divmod(max(seconds, 0.001), 1)
    value = struct.pack("ll", int(whole), int(part * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def _explain(error: Exception, purpose: str, link: StreamLink, sent: bool, limit: float) -> errors.AGBError:
    from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI

    where = link.url.partition("?")[0]
    failed = f"Could not {purpose}: "
    if isinstance(error, TimeoutError):
        what = "no end of the program from" if sent else "no connection to"
        return errors.AGBTimeoutError(f"{failed}{what} {where} within {limit:g} s", maybe_executed=sent)
    if isinstance(error, _RedirectError):
        return errors.ProtocolError(f"{failed}{where} redirects to {str(error).partition('?')[0]}")
    if isinstance(error, InvalidStatus):
        status, body = error.response.status_code, error.response.body or b""
        said = " ".join(bytes(body).decode("utf-8", "replace").split())
        words = own_words.without(said, [link.url, where, urlsplit(where).path, urlsplit(where).netloc])
        kind = classify.classify(status, "", words)
        if kind is errors.AuthenticationError:  # it is the session's token that is refused
            kind = errors.PermissionDeniedError
        text = redact(said, link.token, "token")[:120]
        return kind(f"{failed}{where} refuses the stream: {text or 'no reason given'}", http_status=status)
    if isinstance(error, InvalidURI):
        return errors.ProtocolError(f"{failed}the service names no WebSocket's address but {where!r}")
    if isinstance(error, ConnectionClosed):
        reason = redact(error.rcvd.reason, link.token, "token") if error.rcvd is not None else ""
        return errors.UnavailableError(
            f"{failed}the stream broke before its end" + (f": {reason}" if reason else ""),
            maybe_executed=True,
        )
    what = redact(str(error), link.token, "token")
    return errors.UnavailableError(f"{failed}no stream with {where}: {what}", maybe_executed=sent)
