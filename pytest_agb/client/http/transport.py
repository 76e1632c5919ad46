"""Sends requests over one kept-alive HTTP client per process.

Thread-safe. A forked child gets a client of its own: two processes that write to one socket garble both.
"""

from __future__ import annotations

import errno
import ipaddress
import threading
import weakref
from dataclasses import replace
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_agb import real
from pytest_agb.client import errors
from pytest_agb.client.api import messages
from pytest_agb.client.http import deadline, network_guard, retry
from pytest_agb.client.http.private_httpx import httpx
from pytest_agb.secret import refuse_copies
from pytest_agb.wall_clock import wall_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_agb.client.client_settings import ClientSettings
    from pytest_agb.secret import Secret


#: Who we say we are, and what a session's token is sent as; streams do the same.
USER_AGENT = "pytest-agb"
TOKEN_HEADER = "x-access-token"


class _SecretHeader(httpx.Auth):
    """Puts a secret on each request as it leaves, so that no object in reach holds it in the open."""

    def __init__(self, name: str, secret: Secret, prefix: str = "") -> None:
        self._name = name
        self._secret = secret
        self._prefix = prefix

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers[self._name] = self._prefix + self._secret.reveal()
        yield request


class _TooBigError(Exception):
    """An answer has more bytes than any of the API's."""


def _body(request: messages.Request) -> dict[str, Any] | None:
    if request.body is None:
        return None
    # The official SDK sends the token in the body, too.
    return {**request.body, **({"token": request.token.reveal()} if request.token else {})}


class _PerProcess:
    """What belongs to one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.client: httpx.Client | None = None

    def close(self) -> None:
        with self.lock:
            client, self.client = self.client, None
        if client is not None:
            try:
                client.close()
            except OSError as error:
                if error.errno != errno.EBADF:  # a test has closed all descriptors, ours too
                    raise


class _NoCookies(CookieJar):
    """The API has none, and to look for some asks the time, by a function that tests patch."""

    def extract_cookies(self, response: object, request: object) -> None:
        pass

    def add_cookie_header(self, request: object) -> None:
        pass


#: Clients of parent processes: closing their sockets is not ours to do.
_INHERITED: list[_PerProcess] = []


def _close_own(processes: dict[int, _PerProcess]) -> None:
    for pid, process in processes.items():
        if pid == real.pid():
            process.close()
        else:
            _INHERITED.append(process)


class Transport:
    """The way to one account at one endpoint."""

    def __init__(
        self,
        key: Secret,
        endpoint: str,
        timeout_seconds: float,
        settings: ClientSettings,
        *,
        sleep: Callable[[float], None],
        chance: Callable[[], float],
        wall_clock: Callable[[], float] = wall_seconds,
    ) -> None:
        self.key = key
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds
        self.settings = settings
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._chance = chance
        # By process ID, and never removed: a child must not close, nor garbage-collect, its parent's sockets.
        self._processes: dict[int, _PerProcess] = {}
        # Nobody has to close an AGB: the guide never does, and test runs turn ResourceWarnings into failures.
        weakref.finalize(self, _close_own, self._processes)

    __reduce_ex__ = refuse_copies

    def send(self, request: messages.Request) -> messages.Answer:
        """Send ``request``, again where that is safe and useful.

        Raises:
            AGBError: there is no answer, or it is a refusal.
        """
        repetition = 0
        while True:
            try:
                return self._send_once(request)
            except errors.AGBError as error:
                repetition += 1
                if repetition >= self.settings.retry.attempts or not retry.may_repeat(request.repeat, error):
                    raise
                wait = retry.wait_seconds(
                    self.settings.retry, repetition - 1, error.retry_after, self._chance()
                )
            self._sleep(wait)

    def open(self) -> None:
        """Read now, not with the first call, what certificates and proxies there are.

        Raises:
            InvalidRequestError: they can't be used.
        """
        self._client()

    def close(self) -> None:
        """Close this process's connections; a later call opens new ones."""
        if process := self._processes.get(real.pid()):
            process.close()

    def redact(self, text: str) -> str:
        """Blot the key out of a text that is about to become an error's."""
        return str(self._hide(text))

    def _hide(self, value: Any, request: messages.Request | None = None) -> Any:
        value = messages.redact(value, self.key)
        if request is not None and request.token is not None:
            value = messages.redact(value, request.token, "token")
        return value

    def _send_once(self, request: messages.Request) -> messages.Answer:
        timeout = max(self.timeout_seconds, request.timeout_seconds or 0)
        answer: messages.Answer | errors.AGBError
        client = self._client()
        try:
            with (
                deadline.within(timeout),
                client.stream(
                    request.method,
                    (request.url or self.endpoint) + request.path,
                    params=dict(request.query),
                    json=_body(request),
                    timeout=httpx.Timeout(
                        timeout, connect=min(timeout, self.settings.connect_timeout_seconds)
                    ),
                    auth=_SecretHeader(TOKEN_HEADER, request.token)
                    if request.token
                    else httpx.USE_CLIENT_DEFAULT,
                ) as response,
            ):
                answer = self._read(request, response, self._receive(response))
        except _TooBigError:
            answer = errors.ProtocolError(
                f"Could not {request.purpose}: the answer of {request.url or self.endpoint} has more than "
                f"{self.settings.answer_bytes >> 20} MiB, or is encoded more than once",
                maybe_executed=True,
            )
        except httpx.HTTPError as error:
            answer = self._explain(request, error, timeout)
        except (httpx.InvalidURL, UnicodeError) as error:
            answer = errors.InvalidRequestError(f"Could not {request.purpose}: {self.redact(str(error))}")
        except Exception as error:
            explained = self._explain_interference(request, error)
            if explained is None:
                raise
            answer = explained
        if isinstance(answer, errors.AGBError):
            raise answer  # out here: httpx's exceptions hold the request with the key, and frames the body
        return answer

    def _receive(self, response: httpx.Response) -> bytes:
        # Twice a thousand times as much would be there before it could be counted.
        if "," in response.headers.get("content-encoding", ""):
            raise _TooBigError
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > self.settings.answer_bytes:
                raise _TooBigError
            parts.append(part)
        return b"".join(parts)

    def _read(
        self, request: messages.Request, response: httpx.Response, content: bytes
    ) -> messages.Answer | errors.AGBError:
        if response.is_redirect:
            location = self.redact(response.headers.get("location", "").partition("?")[0])
            return errors.ProtocolError(
                f"Could not {request.purpose}: {request.url or self.endpoint} redirects to {location}",
                http_status=response.status_code,
                hint="Set AGB_ENDPOINT to the address that answers itself",
            )
        return messages.read_answer(
            replace(request, url=request.url or self.endpoint),  # an answer may quote its address, too
            response.status_code,
            content,
            response.headers.get("x-request-id", ""),
            retry.parse_retry_after(response.headers.get("retry-after"), self._wall_clock()),
            lambda value: self._hide(value, request),
        )

    def _client(self) -> httpx.Client:
        process = self._processes.setdefault(real.pid(), _PerProcess())  # atomic, also after a fork
        with process.lock:
            if process.client is None:
                process.client = self._open()
            return process.client

    def _open(self) -> httpx.Client:
        problem = ""
        loopback = is_loopback(self.endpoint)
        try:
            return httpx.Client(
                auth=_SecretHeader("authorization", self.key, "Bearer "),
                # The official SDK names the content type on every request, GETs included.
                headers={"user-agent": USER_AGENT, "content-type": "application/json"},
                limits=httpx.Limits(
                    max_connections=self.settings.max_connections,
                    max_keepalive_connections=self.settings.max_connections,
                    keepalive_expiry=self.settings.keepalive_expiry_seconds,
                ),
                # httpx takes proxies from the environment, and sends loopback addresses there too.
                trust_env=not loopback,
                # Loading the certificates takes 20 ms, for nothing where there is no TLS.
                verify=not (loopback and self.endpoint.startswith("http://")),
                follow_redirects=False,
                cookies=_NoCookies(),
            )
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
            problem = (
                type(error).__name__ if "@" in str(error) else str(error)
            )  # a proxy's URL may hold a password
        raise errors.InvalidRequestError(
            f"The proxy or certificate settings of the environment can't be used: {problem}",
            hint="Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
        )

    def _explain_interference(self, request: messages.Request, error: Exception) -> errors.AGBError | None:
        """What to say of an error that httpx has no class for, where it is a test's doing."""
        failed = f"Could not {request.purpose}: "
        address = request.url or self.endpoint
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            return errors.UnavailableError(
                f"{failed}the connection to {address} was closed by this process: {error}",
                hint="A test closes descriptors that are not its own (os.closerange, for example)",
                maybe_executed=True,
            )
        if by := network_guard.guard():
            sent = not network_guard.while_connecting(error)
            return network_guard.refused(failed, address, by, error, sent=sent)
        return None

    def _explain(self, request: messages.Request, error: httpx.HTTPError, timeout: float) -> errors.AGBError:
        what = str(self._hide(str(error), request)) or type(error).__name__
        failed = f"Could not {request.purpose}: "
        address = request.url or self.endpoint
        not_sent = isinstance(
            error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
        )
        if isinstance(error, httpx.TimeoutException):
            where = "no connection to" if not_sent else "no answer from"
            limit = (
                self.settings.connect_timeout_seconds if isinstance(error, httpx.ConnectTimeout) else timeout
            )
            return errors.AGBTimeoutError(
                f"{failed}{where} {address} within {min(limit, timeout):g} s",
                maybe_executed=not not_sent,
            )
        if isinstance(error, httpx.ConnectError):
            certificate = "certificate" in what.lower()
            return errors.UnavailableError(
                f"{failed}no connection to {address}: {what}",
                hint="Give your certificate authority in SSL_CERT_FILE" if certificate else "",
            )
        if isinstance(error, httpx.ProxyError):
            return errors.UnavailableError(
                f"{failed}the proxy refused: {what}", hint="Check HTTPS_PROXY, or name the host in NO_PROXY"
            )
        if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
            return errors.InvalidRequestError(f"{failed}{what}")
        garbled = isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in what
        if garbled or isinstance(error, httpx.DecodingError):
            return errors.ProtocolError(f"{failed}{address} does not speak HTTP: {what}", maybe_executed=True)
        return errors.UnavailableError(
            f"{failed}the connection to {address} broke before the answer came: {what}",
            maybe_executed=True,
        )


def is_loopback(endpoint: str) -> bool:
    """Whether ``endpoint`` is on this machine."""
    host = (urlsplit(endpoint).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
