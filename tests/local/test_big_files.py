"""Fifty megabytes each way, in the SDK's pieces of 51,200, and characters at every border."""

from __future__ import annotations

import base64
from typing import Any

from localserver import Sandbox

_MEGABYTE = 1024 * 1024


def test_fifty_megabytes_each_way(sdk_session: Any) -> None:
    text = "0123456789abcde\n" * (50 * _MEGABYTE // 16)
    assert sdk_session.file.write("/tmp/big", text).success
    assert sdk_session.command.execute("wc -c < $TMPDIR/big", timeout_ms=20_000).stdout.strip() == str(
        len(text)
    )
    result = sdk_session.file.read("/tmp/big")
    assert result.success
    assert result.content == text


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
