"""The official SDK, unmodified: code and every file call."""

from __future__ import annotations

from typing import Any


def test_code(sdk_session: Any) -> None:
    result = sdk_session.code.run("print('hi')\n6 * 7", "py")
    assert result.success
    assert result.results[0].text == "42"
    assert result.results[0].is_main_result
    assert result.logs.stdout == ["hi\n"]


def test_code_that_fails(sdk_session: Any) -> None:
    result = sdk_session.code.run("1/0", "python")
    assert not result.success
    assert "division by zero" in result.error_message
    assert not sdk_session.code.run("", "python").success
    assert sdk_session.code.run("# nothing", "python").success


def test_write_append_read(sdk_session: Any) -> None:
    files = sdk_session.file
    assert files.write("/tmp/a.txt", "héllo\n").success
    assert files.write("/tmp/a.txt", "wörld", mode="append").success
    assert files.read("/tmp/a.txt").content == "héllo\nwörld"
    assert files.read("/tmp/a.txt", format="bytes").content == "héllo\nwörld".encode()
    assert files.write("/tmp/a.txt", "new").success
    assert files.read("/tmp/a.txt").content == "new"
    assert files.write("/tmp/empty", "").success
    assert files.read("/tmp/empty").content == ""


def test_list_info_mkdir_move_remove(sdk_session: Any) -> None:
    files = sdk_session.file
    assert files.mkdir("/tmp/one/two").success
    assert files.write("/tmp/one/b.txt", "b").success
    entries = [(entry["name"], entry["isDirectory"]) for entry in files.list("/tmp/one").entries]
    assert entries == [("b.txt", False), ("two", True)]
    assert files.list("/tmp/one/two").entries == []
    info = files.info("/tmp/one/b.txt").file_info
    assert (info["size"], info["isDirectory"], info["name"]) == (1, False, "b.txt")
    assert files.info("/tmp/one").file_info["isDirectory"] is True
    assert files.move("/tmp/one/b.txt", "/tmp/one/c.txt").success
    assert not files.info("/tmp/one/b.txt").success
    assert not files.remove("/tmp/one/two").success  # a directory
    assert files.remove("/tmp/one/c.txt").success
    assert not files.info("/tmp/one/c.txt").success


def test_permissions_and_times(sdk_session: Any) -> None:
    files = sdk_session.file
    files.write("/tmp/script", "echo hi")
    sdk_session.command.execute(
        "chmod 750 $TMPDIR/script; touch -d 2024-02-03T04:05:06Z $TMPDIR/script", timeout_ms=20_000
    )
    info = files.info("/tmp/script").file_info
    assert (info["permissions"], info["mode"]) == ("-rwxr-x---", 750)
    assert info["modified"] == "2024-02-03T04:05:06Z"
    assert info["owner"] == int(sdk_session.command.execute("id -u", timeout_ms=20_000).stdout)
    # A file that is written anew keeps its permissions, a new one gets the usual ones.
    assert files.write("/tmp/script", "echo ho").success
    assert files.info("/tmp/script").file_info["mode"] == 750
    files.write("/tmp/new", "")
    assert files.info("/tmp/new").file_info["mode"] == 644
    assert files.info("/tmp").file_info["permissions"].startswith("d")


def test_bytes_of_any_kind(sdk_session: Any) -> None:
    sdk_session.code.run(
        "open('/tmp/b', 'wb').write(bytes(range(256)) * 500)".replace(
            "'/tmp/b'", "__import__('os').environ['TMPDIR'] + '/b'"
        ),
        "python",
    )
    result = sdk_session.file.read("/tmp/b", format="bytes")
    assert result.success
    assert result.content == bytes(range(256)) * 500


def test_a_move_never_overwrites(sdk_session: Any) -> None:
    files = sdk_session.file
    files.write("/tmp/a", "a")
    files.write("/tmp/b", "b")
    assert not files.move("/tmp/a", "/tmp/b").success
    assert files.read("/tmp/b").content == "b"


def test_edit(sdk_session: Any) -> None:
    files = sdk_session.file
    files.write("/tmp/e.txt", "one two")
    assert files.edit("/tmp/e.txt", [{"oldText": "one", "newText": "1"}], dry_run=True).success
    assert files.read("/tmp/e.txt").content == "one two"
    assert files.edit(
        "/tmp/e.txt", [{"oldText": "one", "newText": "1"}, {"oldText": "two", "newText": "2"}]
    ).success
    assert files.read("/tmp/e.txt").content == "1 2"
    assert files.edit("/tmp/e.txt", [], dry_run=True).success
    missing = files.edit(
        "/tmp/e.txt", [{"oldText": "1", "newText": "x"}, {"oldText": "nope", "newText": "y"}]
    )
    assert not missing.success
    assert "nope" in missing.error_message
    assert files.read("/tmp/e.txt").content == "1 2"


def test_search(sdk_session: Any) -> None:
    files = sdk_session.file
    files.mkdir("/tmp/s/deep")
    for name in ("a.txt", "b.txt", "deep/c.txt", "d.md"):
        files.write(f"/tmp/s/{name}", "x")
    assert files.search("/tmp/s", "*.txt").matches == ["/tmp/s/a.txt", "/tmp/s/b.txt", "/tmp/s/deep/c.txt"]
    assert files.search("/tmp/s", "*.txt", exclude_patterns=["b*", "deep"]).matches == ["/tmp/s/a.txt"]
    assert files.search("/tmp/s", "**/*.md").matches == ["/tmp/s/d.md"]
    assert files.search("/tmp/s", "*.none").matches == []


def test_read_batch(sdk_session: Any) -> None:
    files = sdk_session.file
    files.write("/tmp/1", "one\nmore")
    files.write("/tmp/2", "two")
    assert files.read_batch(["/tmp/1", "/tmp/2"]).contents == {"/tmp/1": "one\nmore", "/tmp/2": "two"}


def test_what_is_missing_is_named_and_not_found(sdk_session: Any) -> None:
    files = sdk_session.file
    for result in (
        files.read("/tmp/nope"),
        files.info("/tmp/nope"),
        files.list("/tmp/nope"),
        files.remove("/tmp/nope"),
        files.move("/tmp/nope", "/tmp/x"),
        files.search("/tmp/nope", "*"),
        files.write("/tmp/nope/x", "y"),
    ):
        assert not result.success
        assert "not found" in result.error_message
        assert "/tmp/nope" in result.error_message


def test_one_file_system_for_code_commands_and_files(sdk_session: Any) -> None:
    sdk_session.file.write("shared.txt", "from file")
    assert sdk_session.command.execute("cat shared.txt", timeout_ms=20_000).stdout == "from file"
    assert sdk_session.code.run("open('shared.txt').read()", "python").result == "'from file'"
    sdk_session.command.execute("echo -n more > $TMPDIR/other.txt", timeout_ms=20_000)
    assert sdk_session.file.read("/tmp/other.txt").content == "more"
