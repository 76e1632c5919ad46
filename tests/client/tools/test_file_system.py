"""Files, against a service that keeps them in memory and cuts bytes wherever it is told to."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support import odd_numbers
from support.standin import StandIn, StandInSession, ToolError

from pytest_agb import InvalidRequestError, Session
from pytest_agb import ToolError as ClientToolError
from pytest_agb.client.tools.file_system import CHUNK
from pytest_agb.client.tools.tool_text import read_file_info


def _file(session: StandInSession, args: dict[str, Any]) -> bytes:
    content = session.memory.get(args["path"])
    if not isinstance(content, bytes):
        raise ToolError(f"{args['path']} not found")
    return content


def _info(session: StandInSession, args: dict[str, Any]) -> str:
    if session.memory.get(args["path"]) == "directory":
        return "size: 4096\nisDirectory: true"
    return (
        f"name: a: b.txt\nsize: {len(_file(session, args))}\nisDirectory: False\nmode: 0644\nmodified: 12.5"
    )


def _read(session: StandInSession, args: dict[str, Any]) -> str:
    part = _file(session, args)[args["offset"] : args["offset"] + args["length"]]
    return (
        base64.b64encode(part).decode() if args.get("format") == "binary" else part.decode(errors="replace")
    )


def _write(session: StandInSession, args: dict[str, Any]) -> str:
    before = session.memory.get(args["path"], b"")
    if args["mode"] == "create_new" and before:
        raise ToolError(f"{args['path']} exists")
    session.memory[args["path"]] = (before if args["mode"] == "append" else b"") + args["content"].encode()
    return "written"


@pytest.fixture
def files(service: StandIn, session: Session) -> dict[str, Any]:
    """The files of the session, by path."""
    service.tools.update(get_file_info=_info, read_file=_read, write_file=_write)
    files = service.sessions[session.session_id].memory
    files["/directory"] = "directory"
    return files


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_text_comes_back_as_it_went(
    service: StandIn, session: Session, files: dict[str, Any], size: int
) -> None:
    text = ("\r\n日é🎉" * size)[:size]

    assert session.file_system.write_file("/a", text).success
    assert session.file_system.read_file("/a").check().content == text


@pytest.mark.parametrize("shift", range(4))
def test_a_character_on_a_chunk_border_stays_whole(
    session: Session, files: dict[str, Any], shift: int
) -> None:
    text = "x" * (CHUNK - shift) + "🎉" * 20_000

    files["/a"] = text.encode()

    assert session.file.read("/a").check().content == text


def test_bytes_come_back_as_they_are(session: Session, files: dict[str, Any]) -> None:
    files["/a"] = bytes(range(256)) * 500

    result = session.file.read("/a", format="bytes").check()

    assert result.content == files["/a"]
    assert result.size == 128_000


def test_text_that_is_none_is_named(session: Session, files: dict[str, Any]) -> None:
    files["/a"] = b"ab\xff"

    result = session.file.read("/a")

    assert isinstance(result.error, ClientToolError)
    assert result.error_message == "/a is not UTF-8 text: byte 0xff at 2; read it with format='bytes'"


def test_a_chunk_is_as_large_as_the_official_sdks(
    service: StandIn, session: Session, files: dict[str, Any]
) -> None:
    session.file.write("/a", "x" * CHUNK)
    session.file.write("/a", "x" * (CHUNK + 1), mode="create_new")
    session.file.write("/a", "")

    modes = [json.loads(request.body["args"])["mode"] for request in service.requests[1:]]
    assert modes == ["overwrite", "create_new", "overwrite"]


def test_modes_do_what_they_say(session: Session, files: dict[str, Any]) -> None:
    assert session.file.write("/a", "one", mode="create_new").success
    assert session.file.write("/a", "two", mode="append").success
    assert files["/a"] == b"onetwo"
    assert "exists" in session.file.write("/a", "x", mode="create_new").error_message
    assert session.file.write("/a", b"bytes of text", mode="overwrite").success
    assert files["/a"] == b"bytes of text"


def test_a_write_that_breaks_midway_says_what_is_there(
    service: StandIn, session: Session, files: dict[str, Any]
) -> None:
    def fail_later(session: StandInSession, args: dict[str, Any]) -> str:
        if args["mode"] == "append":
            raise ToolError("the disk is full")
        return _write(session, args)

    service.tools["write_file"] = fail_later

    result = session.file.write("/a", "x" * (CHUNK + 1))

    assert "the disk is full" in result.error_message
    assert "/a holds the first 51,200 characters only" in str(result.error)


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"\xff", "overwrite", "UTF-8"),
        ("\ud800", "overwrite", "UTF-8"),
        (7, "overwrite", "content must be str"),
        ("x", "a", "Invalid write mode: a"),
    ],
)
def test_what_cannot_be_written_is_refused_without_a_request(
    service: StandIn, session: Session, content: Any, mode: str, said: str
) -> None:
    result = session.file.write("/a", content, mode)

    assert isinstance(result.error, InvalidRequestError)
    assert said in result.error_message
    assert service.count("/mcp") == 0


def test_a_directory_or_nothing_cannot_be_read(session: Session, files: dict[str, Any]) -> None:
    assert "is a directory" in session.file.read("/directory").error_message
    assert "/nowhere not found" in session.file.read("/nowhere").error_message


def test_several_files_are_read_exactly(session: Session, files: dict[str, Any]) -> None:
    files.update({"/a": b" one \n---\n", "/b:c": b""})

    result = session.file.read_batch(["/a", "/b:c"]).check()

    assert result.contents == {"/a": " one \n---\n", "/b:c": ""}


def test_several_files_of_which_one_is_missing(session: Session, files: dict[str, Any]) -> None:
    files["/a"] = b"one"

    result = session.file_system.read_multiple_files(["/a", "/nowhere"])

    assert "/nowhere" in result.error_message
    assert result.contents == {"/a": "one"}


def test_file_info_is_converted(session: Session, files: dict[str, Any]) -> None:
    files["/a"] = b"123"

    info = session.file.info("/a").check().file_info

    assert info == {"name": "a: b.txt", "size": 3, "isDirectory": False, "mode": "0644", "modified": 12.5}


@pytest.mark.parametrize("text", ["12", "-12", "1.5", "-1.5", "1789997600.25", "999999999999999"])
def test_a_plain_number_of_file_info_is_converted(text: str) -> None:
    assert read_file_info(f"modified: {text}")["modified"] == float(text)


@pytest.mark.parametrize(
    "text", [text for text in odd_numbers.ODD_NUMBERS if text not in ("-5", "-0")], ids=odd_numbers.name
)
def test_an_odd_number_of_file_info_stays_text(text: str) -> None:
    assert read_file_info(f"name: {text}") == {"name": text}


def test_a_directory_is_listed(service: StandIn, session: Session) -> None:
    service.tools["list_directory"] = lambda *_: "[DIR] sub dir\n[FILE] [DIR] a.txt\nTotal: 2\n"

    entries = session.file_system.list_directory("/").check().entries

    assert entries == [
        {"name": "sub dir", "isDirectory": True},
        {"name": "[DIR] a.txt", "isDirectory": False},
    ]


@pytest.mark.parametrize(
    ("text", "matches"), [("/a\n/b c\n", ["/a", "/b c"]), ("No matches found", []), ("", [])]
)
def test_a_search_gives_paths(service: StandIn, session: Session, text: str, matches: list[str]) -> None:
    service.tools["search_files"] = lambda *_: text

    assert session.file.search("/", "*", exclude_patterns=["b*"]).check().matches == matches


def test_deeds_are_sent_as_the_official_sdk_sends_them(service: StandIn, session: Session) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    def tool(name: str) -> None:
        service.tools[name] = lambda session, args: seen.append((name, args)) or ""  # type: ignore[func-returns-value]

    for name in ("create_directory", "delete_file", "move_file", "edit_file"):
        tool(name)

    assert session.file.mkdir("/d").check().data is True
    assert session.file.remove("/x").success
    assert session.file.move("/a", "/b").success
    assert session.file.edit("/a", [{"oldText": "a", "newText": "b"}]).success
    assert "edit must be" in session.file.edit("/a", [{"old": "a"}]).error_message
    assert "path" in session.file.mkdir("").error_message
    assert seen == [
        ("create_directory", {"path": "/d"}),
        ("delete_file", {"path": "/x"}),
        ("move_file", {"source": "/a", "destination": "/b"}),
        ("edit_file", {"path": "/a", "edits": [{"oldText": "a", "newText": "b"}], "dryRun": False}),
    ]
