"""The file calls say which path they refused, and hold up nobody."""

from __future__ import annotations

from support.local_server import Sandbox


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
