"""Without isolation, when that is asked for: each session has a directory, and commands see the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.local_server import Api, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def open_api() -> Iterator[Api]:
    with serving("--isolation", "none") as server:
        api = Api(server)
        with api.http:
            yield api


@pytest.fixture
def open_sandbox(open_api: Api) -> Iterator[Sandbox]:
    with open_api.session() as sandbox:
        yield sandbox


def test_each_session_has_a_directory_of_its_own(open_api: Api, open_sandbox: Sandbox) -> None:
    with open_api.session() as other:
        assert open_sandbox.tool("write_file", path="/tmp/x", content="mine")[0]
        assert "not found" in other.tool("read_file", path="/tmp/x")[1]
        path = open_sandbox.shell("echo $TMPDIR/x")["stdout"].strip()
        assert open_sandbox.tool("read_file", path=path) == (True, "mine")
        ok, text = other.tool("read_file", path=path)
        assert not ok
        assert f"permission denied: {path} is outside of the session's directory" in text


def test_file_calls_know_the_usual_paths(open_sandbox: Sandbox) -> None:
    for path, variable in (
        ("/tmp/a", "$TMPDIR/a"),
        ("/home/user/b", "$HOME/b"),
        ("c", "$HOME/c"),
        ("~/d", "$HOME/d"),
    ):
        assert open_sandbox.tool("write_file", path=path, content=path)[0]
        assert open_sandbox.shell(f"cat {variable}")["stdout"] == path
        assert open_sandbox.tool("read_file", path=path) == (True, path)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../../etc/passwd", "/tmp/../../etc/passwd", "link", "dir/passwd"]
)
def test_file_calls_stay_in_the_sessions_directory(open_sandbox: Sandbox, path: str) -> None:
    open_sandbox.shell("ln -s /etc/passwd link; ln -s /etc dir")
    for tool in (
        "read_file",
        "write_file",
        "get_file_info",
        "search_files",
        "list_directory",
        "create_directory",
    ):
        ok, text = open_sandbox.tool(tool, path=path, content="x", pattern="*")
        assert not ok
        assert f"permission denied: {path} is outside" in text, (tool, text)


def test_a_step_back_leaves_only_what_is_there(open_sandbox: Sandbox) -> None:
    open_sandbox.shell("mkdir -p there/deep; echo x > file; echo y > seen; ln -s there/deep link")
    for path in (
        "odd/../seen",
        "file/../seen",
        "/home/user/odd/../seen",
        "~/odd/../seen",
        "there/odd/../../seen",
    ):
        assert open_sandbox.tool("read_file", path=path) == (False, f"not found: {path}")
        assert open_sandbox.tool("delete_file", path=path) == (False, f"not found: {path}")
    for path in ("there/../seen", "link/../../seen", "./there/../seen"):
        assert open_sandbox.tool("read_file", path=path) == (True, "y\n")
    assert open_sandbox.tool("create_directory", path="new/../made")[0]


def test_contexts_are_carried_here_too(open_api: Api) -> None:
    query = {"name": "open", "allowCreate": "true"}
    context_id = open_api.http.get("/sdk/GetContext", params=query).json()["data"]["id"]
    for path in ("/tmp/work", "/home/user/work"):
        bound = [{"contextId": context_id, "path": path}]
        with open_api.session(persistenceDataList=bound) as sandbox:
            assert sandbox.tool("write_file", path=f"{path}/deep/x", content="?")[1].startswith("parent")
            assert sandbox.tool("write_file", path=f"{path}/x", content=path)[0]
        with open_api.session(persistenceDataList=bound) as sandbox:
            assert sandbox.tool("read_file", path=f"{path}/x") == (True, path)


def test_a_context_stays_in_the_sessions_directory(open_api: Api) -> None:
    query = {"name": "open-out", "allowCreate": "true"}
    context_id = open_api.http.get("/sdk/GetContext", params=query).json()["data"]["id"]
    path = "/var/tmp/of-a-context"
    with open_api.session(persistenceDataList=[{"contextId": context_id, "path": path}]) as sandbox:
        answer = open_api.http.get("/sdk/GetContextInfo", params={"sessionId": sandbox.session_id}).json()
        (status,) = json.loads(answer["data"]["contextStatus"])
        (task,) = json.loads(status["data"])
        assert task["status"] == "Failed"
        assert "is outside of the session's directory" in task["errorMessage"]
    assert not Path(path).exists()


def test_a_timeout_and_a_crash_are_as_in_a_sandbox(open_sandbox: Sandbox) -> None:
    assert "timed out" in open_sandbox.shell("sleep 60", timeout_ms=200)["stderr"]
    assert "exited with status 3" in open_sandbox.code("import os; os._exit(3)")["executionError"]
    assert open_sandbox.value("1 + 1") == "2"


def test_nothing_of_the_servers_environment_leaks_here_either(open_sandbox: Sandbox) -> None:
    everything = json.dumps(open_sandbox.shell("env")) + open_sandbox.value(
        "import os\n(dict(os.environ), open('/proc/self/environ').read())"
    )
    assert "leaked" not in everything
    assert "of-the-cloud" not in everything
