"""Our copy of httpx is nobody else's, and has all that it needs from the beginning."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.standin import StandIn
from support.standin_clock import Sleeps

from pytest_agb import AGB, InvalidRequestError, UnavailableError

#: Without plugins of pytest that would have imported it already.
START = """
    import sys
    from pytest_agb import AGB, CreateSessionParams
    from pytest_agb.client.http.private_httpx import httpx as ours
    key, endpoint = sys.argv[1:]
"""


def run(service: StandIn, source: str) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-c", textwrap.dedent(START) + textwrap.dedent(source)]
    result = subprocess.run(
        [*command, service.api_key, service.endpoint], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_it_is_not_the_one_that_others_import(service: StandIn) -> None:
    found = run(
        service,
        """
        AGB(key, endpoint).list().check()
        print([name for name in sys.modules if name.partition(".")[0] in ("httpx", "httpcore")])
        import httpcore, httpx
        print(httpx is ours, httpx.Client is ours.Client, issubclass(ours.ConnectError, httpx.HTTPError))
        """,
    )

    assert found == "[]\nFalse False False\n"


def test_nothing_is_imported_for_the_first_request(service: StandIn) -> None:
    """What a test has done to files and imports by then does not concern it."""
    found = run(
        service,
        """
        agb = AGB(key, endpoint)
        agb.open()
        before = set(sys.modules)
        session = agb.create(CreateSessionParams("agb-code-space-1")).check().session
        session.delete().check()
        print(sorted(set(sys.modules) - before))
        """,
    )

    assert found == "[]\n"


@pytest.mark.parametrize(
    "patch",
    [
        "mock.patch.dict(sys.modules, clear=True)",
        "mock.patch.dict(sys.modules, httpx=None, httpcore=None)",
        "mock.patch('builtins.__import__', side_effect=ImportError)",
        "mock.patch('builtins.open', side_effect=OSError)",
        "mock.patch('time.monotonic', side_effect=[1.0])",
        "mock.patch('time.perf_counter', side_effect=StopIteration)",
    ],
)
def test_it_is_out_of_reach_of_what_is_patched_later(service: StandIn, patch: str) -> None:
    run(
        service,
        f"""
        from unittest import mock
        agb = AGB(key, endpoint)
        agb.open()
        request = ours.Request("GET", endpoint)
        client = ours.Client(trust_env=False)
        with {patch}:
            responses = [client.send(request) for _ in range(3)]
        assert all(response.status_code == 401 for response in responses), responses
        """,
    )


def test_connections_are_dropped_after_their_time_though_the_clock_stands(service: StandIn) -> None:
    run(
        service,
        """
        import time
        from unittest import mock
        client = ours.Client(trust_env=False, limits=ours.Limits(keepalive_expiry=0.2))
        with mock.patch("time.monotonic", return_value=1.0):
            client.get(endpoint)
            time.sleep(0.4)
            client.get(endpoint)
        """,
    )

    assert service.connections == 2


def test_certificates_are_read_when_a_client_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sleeps: Sleeps
) -> None:
    """A fake file system, or a changed environment, comes too late to hide them."""
    nowhere = "https://0.0.0.0:1"  # this machine, though not by one of its loopback's names
    agb = AGB("key", nowhere, sleep=sleeps)
    agb.open()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    late = AGB("key", nowhere)

    assert isinstance(agb.list().error, UnavailableError)
    with pytest.raises(InvalidRequestError, match="SSL_CERT_FILE"):
        late.open()
