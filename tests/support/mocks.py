"""What a suite does with its sandbox while HTTP is mocked, and the ways in which it is run."""

from __future__ import annotations

import base64
import json
import textwrap
from typing import Any

import pytest

from support.standin import StandInSession
from support.suite import Suite

#: Each way of running, with the backend that it is on.
WAYS = {
    "plain": [],
    "xdist": ["-n2"],
    "plain-local": ["--agb-backend=local", "--agb-local-isolation=any"],
    "xdist-local": ["-n2", "--agb-backend=local", "--agb-local-isolation=any"],
}

#: For `pytest.mark.parametrize`: both backends, plain and with xdist; by default not each with each.
TRIED = [
    "plain",
    "xdist-local",
    pytest.param("xdist", marks=pytest.mark.slow),
    pytest.param("plain-local", marks=pytest.mark.slow),
]

#: The head of a suite: the sandbox used in all ways that make requests.
SANDBOX = """
    def use_sandbox(session, agb=None):
        from pytest_agb import CreateSessionParams

        assert session.code.run_code("print(6 * 7)", "python").check().logs.stdout == ["42\\n"]
        assert session.command.execute_command("echo hello").check().output == "hello\\n"
        session.file_system.write_file("note.txt", "kept").check()
        assert session.file_system.read_file("note.txt").check().content == "kept"
        if agb is None:
            return
        other = agb.create(CreateSessionParams("agb-code-space-1")).check().session
        other.set_labels({"a": "b"}).check()
        agb.delete(other).check()
"""


def joined(*parts: str) -> str:
    """A suite's source of parts that are indented each in its way."""
    return "\n".join(textwrap.dedent(part) for part in parts)


def answer_tools(suite: Suite) -> None:
    """Have the stand-in answer what `use_sandbox` asks."""

    def write(session: StandInSession, given: dict[str, Any]) -> str:
        session.memory[given["path"]] = given["content"].encode()
        return "written"

    def info(session: StandInSession, given: dict[str, Any]) -> str:
        return f"size: {len(session.memory[given['path']])}\nisDirectory: False"

    def read(session: StandInSession, given: dict[str, Any]) -> str:
        start = given["offset"]
        return base64.b64encode(session.memory[given["path"]][start : start + given["length"]]).decode()

    code = {"result": [], "stdout": ["42\n"], "stderr": [], "executionError": "", "execution_count": 1}
    shell = {"stdout": "hello\n", "stderr": "", "exit_code": 0}
    suite.service.tools.update(
        run_code=lambda *_: json.dumps(code),
        shell=lambda *_: json.dumps(shell),
        write_file=write,
        get_file_info=info,
        read_file=read,
    )
