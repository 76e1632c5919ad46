"""No path leads out of a session, however it is spelled, and a refusal names it."""

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
