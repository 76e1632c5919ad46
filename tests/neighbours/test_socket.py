"""With pytest-socket, which forbids connections: those to sandboxes too, until the user lets them through."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, WAYS, answer_tools, joined
from support.suite import Suite


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("strict", [[], ["-W", "error"]], ids=["", "strict"])
def test_a_forbidden_call_says_who_forbids_it(suite: Suite, way: str, strict: list[str]) -> None:
    suite.write("def test_it(agb_session): agb_session.command.execute_command('true').check()")

    output = suite.run("--disable-socket", "--tb=short", *strict, *WAYS[way])

    told = [line for line in output.splitlines() if line.startswith("E  ")]
    assert len(told) == 1, output
    assert "pytest_socket keeps this test from http://127.0.0.1:" in told[0]
    assert "--allow-hosts=127.0.0.1" in told[0]
    suite.assert_says_nothing_left()


@pytest.mark.parametrize("way", WAYS)
def test_sandboxes_on_allowed_hosts_are_reached(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(
        joined(
            SANDBOX,
            """
            import socket

            def test_it(agb_session, agb):
                use_sandbox(agb_session, agb)
                with pytest.raises(RuntimeError, match="192.0.2.1"):
                    socket.create_connection(("192.0.2.1", 80))
            """,
        )
    )

    assert "1 passed" in suite.run("--disable-socket", "--allow-hosts=127.0.0.1", *WAYS[way]), suite.output

    suite.assert_says_nothing_left()
