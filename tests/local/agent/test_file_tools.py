"""The file calls stay inside, whatever path they are given, and say which path they refused."""

from __future__ import annotations

import pytest
from support.local_server import Sandbox

_ESCAPES = [
    "../../etc/shadow",
    "/etc/shadow",
    "/tmp/../etc/shadow",
    "~/../../etc/shadow",
    "../" * 20 + "etc/shadow",
]


@pytest.mark.parametrize("path", _ESCAPES)
@pytest.mark.parametrize("tool", ["read_file", "write_file", "delete_file", "edit_file"])
def test_the_password_file_is_refused_by_name(sandbox: Sandbox, tool: str, path: str) -> None:
    ok, text = sandbox.tool(tool, path=path, content="x", edits=[{"oldText": "a", "newText": "b"}])
    assert not ok
    assert path in text
    assert any(words in text for words in ("permission denied", "not found", "Read-only"))


def test_a_link_leads_no_further_than_its_target_may(sandbox: Sandbox) -> None:
    sandbox.shell("ln -s /etc/shadow link; ln -s /etc dir")
    for path in ("link", "dir/shadow"):
        ok, text = sandbox.tool("read_file", path=path)
        assert not ok
        assert path in text
    assert not sandbox.tool("write_file", path="dir/new", content="x")[0]
    # The link itself is the session's own.
    assert sandbox.tool("delete_file", path="link")[0]


def test_paths_that_are_none_are_refused(sandbox: Sandbox) -> None:
    for path in ("", "a\0b"):
        ok, text = sandbox.tool("read_file", path=path)
        assert not ok
        assert "invalid path" in text


def test_pipes_and_endless_devices_do_not_hold_the_session(sandbox: Sandbox) -> None:
    sandbox.shell("mkfifo pipe")
    ok, text = sandbox.tool("read_file", path="pipe")
    assert not ok
    assert "not a regular file: pipe" in text
    assert not sandbox.tool("write_file", path="pipe", content="x")[0]
    assert not sandbox.tool("read_file", path="/dev/zero")[0]


def test_create_new_refuses_what_is_there(sandbox: Sandbox) -> None:
    assert sandbox.tool("write_file", path="once", content="1", mode="create_new")[0]
    ok, text = sandbox.tool("write_file", path="once", content="2", mode="create_new")
    assert (ok, text) == (False, "already exists: once")
    assert sandbox.tool("read_file", path="once") == (True, "1")


def test_odd_names_can_be_written_and_found(sandbox: Sandbox) -> None:
    name = "sp ace 'q' 名 \\ [x].txt"
    assert sandbox.tool("write_file", path=f"odd/../{name}", content="x")[0] is False  # `odd` is not there
    assert sandbox.tool("write_file", path=name, content="x")[0]
    assert sandbox.tool("list_directory", path=".") == (True, f"[FILE] {name}")
    assert sandbox.tool("search_files", path=".", pattern="*.txt") == (True, f"./{name}")
