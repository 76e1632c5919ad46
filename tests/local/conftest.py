"""One server for all tests of a worker; a sandbox of its own for each."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from support.confined import confined, inside, lasting, limited  # noqa: F401 (fixtures)
from support.local_server import Api, Sandbox, Server, can_forbid_namespaces, serving

from pytest_agb.local.isolation import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_namespaces: skipped where sandboxes can't have namespaces")
    config.addinivalue_line("markers", "needs_landlock: skipped where the kernel has no Landlock")
    config.addinivalue_line("markers", "needs_unshare: skipped where `localserver.FORBIDDEN` can't be run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what has nothing to test here. No fixture: pytest would report each of its skips on its own."""
    for way in choose.WAYS:
        if item.get_closest_marker(f"needs_{way}") and choose.obstacle_to(way):
            pytest.skip(f"no {way} on this machine: there is nothing to test")
    if item.get_closest_marker("needs_unshare") and not can_forbid_namespaces():
        pytest.skip("no user namespaces on this machine to be forbidden")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving("--isolation", "any") as running:
        yield running


@pytest.fixture(scope="session")
def api(server: Server) -> Iterator[Api]:
    api = Api(server)
    with api.http:
        yield api


@pytest.fixture
def sandbox(api: Api) -> Iterator[Sandbox]:
    with api.session() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def sdk() -> Any:
    """The official SDK's module."""
    os.environ["AGB_LOG_LEVEL"] = "ERROR"  # it logs every call on stderr otherwise
    with warnings.catch_warnings():
        # What it imports is not ours to repair.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return pytest.importorskip("agb", reason="the official SDK (extra `sdk`) is not installed")


@pytest.fixture
def sdk_client(sdk: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], Any]:
    """Makes the official SDK's client, unmodified, for a server."""
    from agb.config import Config

    # It sends calls to a proxy even on the loopback.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return lambda server: sdk.AGB(
        api_key=server.api_key, cfg=Config(endpoint=server.endpoint, timeout_ms=60_000)
    )


@pytest.fixture
def agb_client(sdk_client: Callable[[Server], Any], server: Server) -> Any:
    """The official SDK's client, unmodified, on the local server."""
    return sdk_client(server)


@pytest.fixture
def sdk_session(sdk: Any, agb_client: Any) -> Iterator[Any]:
    from agb.session_params import CreateSessionParams

    created = agb_client.create(CreateSessionParams(image_id="agb-code-space-1"))
    assert created.success, created.error_message
    yield created.session
    created.session.delete()
