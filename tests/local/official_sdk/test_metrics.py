"""The official SDK, unmodified: a session's metrics are that session's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.deadline import eventually

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="processes are measured in /proc, which is Linux's"
)

_MEGABYTE = 1024 * 1024


@pytest.fixture
def other_session(agb_client: Any) -> Iterator[Any]:
    from agb.session_params import CreateSessionParams

    created = agb_client.create(CreateSessionParams(image_id="agb-code-space-1"))
    assert created.success, created.error_message
    yield created.session
    created.session.delete()


def _metrics(session: Any) -> Any:
    result = session.get_metrics()
    assert result.success, result.error_message
    return result.metrics


def test_what_there_is(sdk_session: Any) -> None:
    metrics = _metrics(sdk_session)
    nproc = sdk_session.command.execute("nproc", timeout_ms=20_000).stdout
    assert metrics.cpu_count == int(nproc)
    assert 0 < metrics.mem_used < metrics.mem_total
    assert 0 <= metrics.disk_used < metrics.disk_total
    assert (metrics.rx_used_kbyte, metrics.tx_rate_kbyte_per_s) == (0.0, 0.0)
    now = sdk_session.command.execute("date -u +%Y-%m-%dT%H:%M", timeout_ms=20_000).stdout.strip()
    assert metrics.timestamp[:13] == now[:13]


def test_memory_is_that_of_its_processes(sdk_session: Any, other_session: Any) -> None:
    before, others = _metrics(sdk_session).mem_used, _metrics(other_session).mem_used
    assert sdk_session.code.run("x = bytearray(200 * 1024 * 1024)", "python").success
    grown = _metrics(sdk_session).mem_used - before
    assert 190 * _MEGABYTE < grown < 260 * _MEGABYTE
    assert abs(_metrics(other_session).mem_used - others) < 10 * _MEGABYTE
    sdk_session.code.run("del x", "python")
    assert _metrics(sdk_session).mem_used - before < 50 * _MEGABYTE


def test_disk_is_that_of_its_files(sdk_session: Any, other_session: Any) -> None:
    before, others = _metrics(sdk_session).disk_used, _metrics(other_session).disk_used
    sdk_session.command.execute("head -c 50M /dev/urandom > $TMPDIR/file", timeout_ms=20_000)
    assert abs(_metrics(sdk_session).disk_used - before - 50 * _MEGABYTE) < _MEGABYTE
    assert abs(_metrics(other_session).disk_used - others) < _MEGABYTE
    sdk_session.file.remove("/tmp/file")
    assert abs(_metrics(sdk_session).disk_used - before) < _MEGABYTE


def _load(session: Any) -> float:
    """The sum of some measurements: on a busy machine each of them says little."""
    return sum(float(_metrics(session).cpu_used_pct) for _ in range(4))


def test_processor_time_is_that_of_its_processes(sdk_session: Any, other_session: Any) -> None:
    def busy() -> bool:
        return _load(sdk_session) > 3 * _load(other_session) + 2

    sdk_session.command.execute(
        "for n in $(seq $(nproc)); do nohup yes > /dev/null 2>&1 & echo $! >> pids; done", timeout_ms=20_000
    )
    eventually(busy, "the session is busier than the one that does nothing", seconds=60)
    eventually(
        lambda: abs(_metrics(sdk_session).cpu_used_pct - _counted(sdk_session)) < 20, "it is the kernel's"
    )
    sdk_session.command.execute("kill $(cat pids)", timeout_ms=20_000)
    eventually(lambda: not busy(), "the session is idle again", seconds=60)
    # What ended meanwhile counts too: many short processes.
    endless = "nohup sh -c 'while :; do sh -c true; done' > /dev/null 2>&1 & echo"
    sdk_session.command.execute(endless, timeout_ms=20_000)
    eventually(busy, "the session is busy", seconds=60)


def _counted(session: Any) -> float:
    """The same in percent, by what the kernel counts for the processes that were started."""
    ticks = "cat $(sed 's,.*,/proc/&/stat,' pids) | awk '{ sum += $14 + $15 } END { print sum }'"
    result = session.command.execute(
        f"{ticks}; sleep 0.5; {ticks}; nproc; getconf CLK_TCK", timeout_ms=20_000
    )
    before, after, count, per_second = map(int, result.stdout.split())
    return 100 * (after - before) / per_second / 0.5 / count


def test_a_measurement_holds_nothing_up(sdk_session: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        metrics = [pool.submit(_metrics, sdk_session) for _ in range(4)]
        shells = [pool.submit(sdk_session.command.execute, "echo x", 20_000) for _ in range(4)]
        assert all(shell.result().stdout == "x\n" for shell in shells)
        assert all(one.result().mem_used > 0 for one in metrics)
