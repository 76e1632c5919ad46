"""A call ends in its time, however slowly the other side speaks or listens, and takes no more than fits."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import sys
import textwrap
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from pytest_agb import AGB, AGBTimeoutError, CreateSessionParams, ProtocolError
from pytest_agb.client import ClientSettings, Session

SECONDS = 0.5
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@contextlib.contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """An endpoint that has each connection dealt with by ``serve``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # the test is over
                    return
                with connection, contextlib.suppress(OSError):  # the client has hung up, as it should
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert not thread.is_alive()


def drip(connection: socket.socket, data: bytes, seconds: float = 0.05) -> None:
    for index in range(len(data)):
        connection.sendall(data[index : index + 1])
        time.sleep(seconds)


def dripping_head(connection: socket.socket) -> None:
    connection.recv(65536)
    drip(connection, HEAD + b"x: " + b"y" * 1000)


def dripping_body(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HEAD + b"content-length: 1000\r\n\r\n")
    drip(connection, b" " * 1000)


def dripping_chunks(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    drip(connection, b"1\r\n \r\n" * 1000, 0.02)


def early_hints(connection: socket.socket) -> None:
    connection.recv(65536)
    for _ in range(1000):
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("serve", [dripping_head, dripping_body, dripping_chunks, early_hints])
def test_an_answer_that_drips_is_a_timeout(serve: Callable[[socket.socket], None]) -> None:
    with server(serve) as endpoint, AGB("some-key", endpoint, timeout=SECONDS) as agb:
        began = time.monotonic()
        error = agb.create(CreateSessionParams("an-image")).error
        took = time.monotonic() - began

    assert isinstance(error, AGBTimeoutError), error
    assert error.maybe_executed
    assert f"no answer from {endpoint} within {SECONDS:g} s" in error.message
    assert took < SECONDS + 10


def test_a_request_that_is_taken_in_drops_is_a_timeout() -> None:
    over = threading.Event()

    def sip(connection: socket.socket) -> None:
        while not over.wait(0.01) and connection.recv(1024):
            pass

    settings = ClientSettings(tool_margin_seconds=0.0)
    with server(sip) as endpoint, AGB("some-key", endpoint, timeout=SECONDS, settings=settings) as agb:
        began = time.monotonic()
        error = Session(agb, "session-1").call_mcp_tool("write", {"content": "x" * 12_000_000}).error
        took = time.monotonic() - began
        over.set()

    assert isinstance(error, AGBTimeoutError), error
    assert took < SECONDS + 10


def test_a_deadline_is_its_own_calls() -> None:
    """One that timed out leaves the next call of the thread all of its time."""
    slow = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        if not slow.is_set():
            slow.set()
            dripping_body(connection)
        time.sleep(SECONDS * 0.8)
        body = b'{"success": true, "data": []}'
        connection.sendall(HEAD + f"content-length: {len(body)}\r\n\r\n".encode() + body)

    with server(serve) as endpoint, AGB("some-key", endpoint, timeout=SECONDS) as agb:
        assert isinstance(agb.list().error, AGBTimeoutError)
        assert agb.list().success


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip"])
def test_an_answer_is_bounded_after_decompression(coding: str) -> None:
    body = b'{"success": true, "data": [' + b" " * 3_000_000 + b"]}"
    for _ in coding.split():
        body = gzip.compress(body)

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"content-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(HEAD + head.encode() + body)

    for settings, fits in (
        (ClientSettings(), "," not in coding),
        (ClientSettings(answer_bytes=2 << 20), False),
    ):
        with server(serve) as endpoint, AGB("some-key", endpoint, settings=settings) as agb:
            result = agb.list()
        assert result.success == fits
        assert fits or isinstance(result.error, ProtocolError)
        assert fits or " MiB" in result.error_message


def test_a_bomb_of_600_mib_takes_little_memory() -> None:
    """It took 1.5 GB."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    mib = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # stands for itself
    bomb = start + 600 * mib

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"content-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n"
        connection.sendall(HEAD + head.encode() + bomb)

    source = """
        import resource, sys
        from pytest_agb import AGB
        with AGB("some-key", sys.argv[1]) as agb:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            error = agb.list().error
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(type(error).__name__, (after - before) // 1024)
        """
    with server(serve) as endpoint:
        command = [sys.executable, "-c", textwrap.dedent(source), endpoint]
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    kind, taken = output.split()

    assert kind == "ProtocolError"
    assert int(taken) < 300, output


def test_the_key_follows_no_redirect() -> None:
    heard: list[bytes] = []

    def elsewhere(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))

    with server(elsewhere) as other:

        def redirect(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 307 Look\r\nconnection: close\r\ncontent-length: 0\r\nlocation: "
                + other.encode()
                + b"\r\n\r\n"
            )

        with server(redirect) as endpoint, AGB("some-key", endpoint) as agb:
            errors = [agb.list().error, agb.create(CreateSessionParams("an-image")).error]

    assert heard == []
    for error in errors:
        assert isinstance(error, ProtocolError)
        assert f"redirects to {other}" in error.message
