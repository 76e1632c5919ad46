"""The languages that calls may name are those that there are interpreters for, on either side of the API."""

from __future__ import annotations

from pytest_agb.client.tools import code_output
from pytest_agb.local.agent.code import languages
from pytest_agb.local.sessions import tool_schemas


def test_client_server_and_agent_know_the_same() -> None:
    runnable = {"python", *languages._PROGRAMS}
    assert set(tool_schemas._LANGUAGES) == runnable
    assert set(code_output._ALIASES) == runnable
