from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pytest_agb import AGB
from pytest_agb.client.http.transport import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.standin import StandIn
    from support.standin_clock import Sleeps

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A proxy that takes connections, and that the environment sends everything to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for name in VARIABLES:
            for variable in (name, name.lower()):
                monkeypatch.setenv(variable, f"http://127.0.0.1:{listener.getsockname()[1]}")
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(variable, raising=False)
        yield listener


def was_called(proxy: socket.socket) -> bool:
    try:
        proxy.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_a_loopback_endpoint_never_goes_through_a_proxy(service: StandIn, proxy: socket.socket) -> None:
    with AGB(service.api_key, service.endpoint) as agb:
        assert agb.list().success

    assert not was_called(proxy)


def test_other_endpoints_do(proxy: socket.socket, sleeps: Sleeps) -> None:
    with AGB("some-key", "http://agb.invalid", timeout=0.2, sleep=sleeps) as agb:
        agb.list()

    assert was_called(proxy)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost:1",
        "http://127.0.0.1",
        "http://127.8.9.10:1",
        "http://[::1]:1",
        "https://LOCALHOST",
        "http://a.localhost",
    ],
)
def test_this_machine_is_known_by_all_its_names(endpoint: str) -> None:
    assert is_loopback(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["https://sdk-api.agb.cloud", "http://10.0.0.1", "http://localhost.evil.example"]
)
def test_other_machines_are_not_this_one(endpoint: str) -> None:
    assert not is_loopback(endpoint)
