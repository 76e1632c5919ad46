"""The server needs no privilege: an ordinary user's sandboxes are as isolated as root's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.local_server import Api, Sandbox, Server, serving
from support.ordinary_user import ordinary_user

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs_namespaces


@pytest.fixture(scope="module")
def users_server() -> Iterator[Server]:
    prefix, python = ordinary_user()
    with serving("--isolation", "namespaces", prefix=prefix, python=python) as server:
        yield server


@pytest.fixture(scope="module")
def users_sandbox(users_server: Server) -> Iterator[Sandbox]:
    api = Api(users_server)
    with api.http, api.session() as sandbox:
        yield sandbox


def test_code_commands_and_files_work(users_sandbox: Sandbox) -> None:
    assert users_sandbox.tool("write_file", path="/tmp/x", content="hi")[0]
    assert users_sandbox.shell("cat /tmp/x; id -un")["stdout"] == "hiuser\n"
    assert users_sandbox.value("open('/tmp/x').read()") == "'hi'"


def test_nobody_but_root_looks_into_the_servers_memory(users_server: Server) -> None:
    """Nor does a core dump: it is owned by root where it can't be dumped."""
    process = Path(f"/proc/{users_server.process.pid}")
    assert (process / "environ").stat().st_uid == 0
    assert (process / "limits").read_text().partition("Max core file size")[2].split()[0] == "0"


def test_it_is_isolated(users_sandbox: Sandbox) -> None:
    status = users_sandbox.shell("cat /proc/self/status")["stdout"]
    assert "CapEff:\t0000000000000000" in status
    assert users_sandbox.shell("echo x > /usr/x")["exit_code"] != 0
    assert users_sandbox.shell("cat /etc/shadow")["exit_code"] == 1
    users_sandbox.shell("touch /tmp/of-the-users-sandbox")
    assert not Path("/tmp/of-the-users-sandbox").exists()
