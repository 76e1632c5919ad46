"""Large files each way without much memory, and characters at every border of the SDK's pieces of 51,200."""

from __future__ import annotations

import base64
import sys
from typing import Any

import pytest
from support.local_server import MemoryWatch, Sandbox, Server

_MEGABYTE = 1024 * 1024


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is measured in /proc, which is Linux's"
)
@pytest.mark.parametrize("megabytes", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_a_large_file_each_way_is_never_in_memory_as_a_whole(
    sdk_session: Any, server: Server, megabytes: int
) -> None:
    text = "0123456789abcde\n" * (megabytes * _MEGABYTE // 16)
    memory = MemoryWatch(server)
    assert sdk_session.file.write("/tmp/big", text).success
    size = sdk_session.command.execute("wc -c < $TMPDIR/big", timeout_ms=20_000).stdout.strip()
    assert size == str(len(text))
    result = sdk_session.file.read("/tmp/big")
    assert result.success
    assert result.content == text
    assert sdk_session.file.read("/tmp/big", format="bytes").content == text.encode()
    growth = memory.growth_mib()
    assert len(growth) >= 3, "server, fork server, agent"
    assert max(growth.values()) < 8, growth


def test_a_character_is_in_exactly_one_slice(sandbox: Sandbox) -> None:
    text = "aé€😀" * 12
    sandbox.tool("write_file", path="mixed", content=text)
    size = len(text.encode())
    for step in range(1, 12):
        pieces = [
            sandbox.tool("read_file", path="mixed", offset=n, length=min(step, size - n))
            for n in range(0, size, step)
        ]
        assert "".join(piece for _, piece in pieces) == text, step


def test_binary_slices_are_exact(sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 3
    sandbox.code("open('bin', 'wb').write(bytes(range(256)) * 3)")
    slices = [(0, 100), (100, 500), (600, 168), (768, 10)]
    read = b"".join(
        base64.b64decode(
            sandbox.tool("read_file", path="bin", offset=offset, length=length, format="binary")[1]
        )
        for offset, length in slices
    )
    assert read == data


def test_without_a_length_all_is_read(sandbox: Sandbox) -> None:
    sandbox.shell("head -c 3M /dev/zero | tr '\\0' x > three")
    assert len(sandbox.tool("read_file", path="three")[1]) == 3 * _MEGABYTE
    assert sandbox.tool("read_file", path="three", offset=3 * _MEGABYTE) == (True, "")


def test_what_is_too_large_to_edit_stays_whole(sandbox: Sandbox) -> None:
    sandbox.shell("head -c 65M /dev/zero | tr '\\0' x > large; echo end >> large")
    for dry_run in (True, False):
        ok, text = sandbox.tool(
            "edit_file", path="large", edits=[{"oldText": "x", "newText": "y"}], dryRun=dry_run
        )
        assert not ok
        assert "too large to edit: large" in text
    assert sandbox.shell("wc -c < large; tail -c 5 large")["stdout"].split() == [
        str(65 * _MEGABYTE + 4),
        "xend",
    ]


def test_a_large_edit_is_done_without_showing_the_difference(sandbox: Sandbox) -> None:
    sandbox.code("open('many', 'w').write('a line\\n' * 500_000 + 'last')")
    ok, text = sandbox.tool("edit_file", path="many", edits=[{"oldText": "last", "newText": "done"}])
    assert ok
    assert text == "changed many; it is too large to show the difference"
    assert sandbox.shell("wc -l < many; tail -n 1 many")["stdout"].split() == ["500000", "done"]


def test_a_batch_holds_so_much_and_says_what_it_left_out(sandbox: Sandbox) -> None:
    sandbox.shell("for n in 1 2; do head -c 40M /dev/zero | tr '\\0' $n > $n; done; echo small > 3")
    ok, text = sandbox.tool("read_multiple_files", paths=["1", "2", "3"])
    assert ok
    first, second, third = text.split("\n---\n")
    assert len(first) > 40 * _MEGABYTE
    assert second == "2:\nError: more than 67108864 bytes at once, read it on its own: 2\n"
    assert third == "3:\nsmall\n\n"


@pytest.mark.needs_namespaces
def test_an_edit_without_space_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.shell("printf 'one two' > full; cat /dev/zero > filler", timeout_ms=60_000)
    edits = [{"oldText": "one", "newText": "1" * 100_000}]
    ok, text = sandbox.tool("edit_file", path="full", edits=edits)
    assert not ok
    assert "no space left in the sandbox: full" in text
    assert sandbox.tool("read_file", path="full") == (True, "one two")
