"""One set of kept-alive connections per process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import AGB, CreateSessionParams

if TYPE_CHECKING:
    from support.standin_clock import Sleeps


def test_nothing_is_sent_before_the_first_call(service: StandIn) -> None:
    AGB(service.api_key, service.endpoint)

    assert service.connections == 0


def test_calls_share_a_connection(service: StandIn, agb: AGB) -> None:
    session = agb.create(CreateSessionParams(IMAGE)).check().session
    assert session is not None
    session.set_labels({"a": "b"}).check()
    session.delete().check()

    assert service.connections == 1


def test_a_connection_that_broke_while_idle_is_replaced(service: StandIn, agb: AGB, sleeps: Sleeps) -> None:
    agb.list().check()
    service.break_connections()

    assert agb.create(CreateSessionParams(IMAGE)).success
    assert sleeps == []


def test_threads_share_a_client(service: StandIn, agb: AGB) -> None:
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: agb.list(), range(200)))

    assert all(result.success for result in results)
    assert len({result.request_id for result in results}) == 200
    assert service.connections <= 16


def test_a_closed_client_opens_again(service: StandIn, agb: AGB) -> None:
    agb.list().check()
    agb.close()

    assert agb.list().success
    assert service.connections == 2


def test_nobody_has_to_close_a_client(service: StandIn) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AGB(service.api_key, service.endpoint).list().check()  # garbage at once


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_its_own(service: StandIn, agb: AGB) -> None:
    agb.list().check()

    child = os.fork()
    if child == 0:
        os._exit(0 if agb.list().success and agb.list().success else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert agb.list().success
    connections = [request.http.connection for request in service.requests]
    assert connections == [1, 2, 2, 1]


def test_descriptors_that_a_test_has_closed_cost_one_clear_error(service: StandIn) -> None:
    service.tools["shell"] = lambda *_: '{"stdout": "", "stderr": "", "exit_code": 0}'
    source = """
        import os, sys
        from pytest_agb import AGB, CreateSessionParams

        with AGB(*sys.argv[1:]) as agb:
            session = agb.create(CreateSessionParams("agb-code-space-1")).check().session
            os.closerange(3, 64)
            result = session.command.execute_command("true")
            assert "was closed by this process" in result.error_message, result
            assert "os.closerange" in str(result.error), result.error
            session.command.execute_command("true").check()
            os.closerange(3, 64)
            agb.list().check()  # may be sent again
            session.delete().check()
            os.closerange(3, 64)
        """
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        textwrap.dedent(source),
        service.api_key,
        service.endpoint,
    ]

    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (result.returncode, result.stderr) == (0, "")
    assert not service.live_sessions()
