"""Local sandboxes have no network unless the run asks for this machine's, and then the header says so."""

from __future__ import annotations

import pytest

from pytest_agb.local.isolation import choose

pytestmark = pytest.mark.skipif(
    choose.choose("any") == "none", reason="without isolation the network is the machine's"
)

SUITE = """
    import socket

    def test_it(agb_session):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            result = agb_session.code.run_code(
                f"import socket\\nsocket.create_connection(('127.0.0.1', {port}), 2).close()", "python"
            )
        assert result.success, result.error_message
"""
HEADER = "agb: *the network is this machine's*"


def test_none_by_default(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line(HEADER)


@pytest.mark.parametrize("ini", [pytest.param("", marks=pytest.mark.slow), "agb_local_network = host"])
def test_the_machines_when_asked_for(pytester: pytest.Pytester, ini: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(SUITE)

    result = pytester.runpytest_subprocess(*([] if ini else ["--agb-local-network=host"]))

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([HEADER])


def test_the_command_line_wins_over_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nagb_local_network = host\n")
    pytester.makepyfile(SUITE)

    pytester.runpytest_subprocess("--agb-local-network=none").assert_outcomes(failed=1)
