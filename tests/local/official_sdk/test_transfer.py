"""The official SDK, unmodified: files go to a session and back by signed URLs."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
from support.local_server import MemoryWatch, Server

_MEGABYTE = 1024 * 1024


def test_a_file_goes_up_is_worked_on_and_comes_down(sdk_session: Any, tmp_path: Path) -> None:
    files = sdk_session.file
    place = files.transfer_path()
    assert files.list(place).success  # it is there before anything is
    (tmp_path / "up").write_bytes(b"text\n")
    up = files.upload(str(tmp_path / "up"), f"{place}/a.txt", poll_interval=0.01)
    assert up.success, up.error_message
    assert (up.bytes_sent, up.http_status, up.path) == (5, 200, f"{place}/a.txt")
    assert up.etag
    assert up.request_id_upload_url
    assert up.request_id_sync
    content = files.read(f"{place}/a.txt").content
    assert files.write(f"{place}/a.txt", content.upper()).success
    down = files.download(f"{place}/a.txt", str(tmp_path / "down"), poll_interval=0.01)
    assert down.success, down.error_message
    assert (down.bytes_received, down.http_status) == (5, 200)
    assert (tmp_path / "down").read_bytes() == b"TEXT\n"
    kept = files.download(f"{place}/a.txt", str(tmp_path / "down"), overwrite=False, poll_interval=0.01)
    assert not kept.success


def test_folders_below_the_place_work_too(sdk_session: Any, tmp_path: Path) -> None:
    files = sdk_session.file
    (tmp_path / "up").write_bytes(bytes(range(256)))
    path = f"{files.transfer_path()}/sub/folder/b.bin"
    assert files.upload(str(tmp_path / "up"), path, poll_interval=0.01).success
    assert files.read(path, format="bytes").content == bytes(range(256))
    files.move(path, f"{files.transfer_path()}/sub/moved.bin")
    down = files.download(
        f"{files.transfer_path()}/sub/moved.bin", str(tmp_path / "down"), poll_interval=0.01
    )
    assert down.success, down.error_message
    assert (tmp_path / "down").read_bytes() == bytes(range(256))


def test_an_archive_is_transferred_as_it_is(sdk_session: Any, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))
    path = f"{sdk_session.file.transfer_path()}/a.zip"
    assert sdk_session.file.upload(str(archive), path, poll_interval=0.01).success
    assert sdk_session.file.read(path, format="bytes").content == archive.read_bytes()


@pytest.mark.parametrize("folder", ["/tmp", "/home/user", "/home/user/deep/er"])
def test_other_folders_of_the_session_work_too(sdk_session: Any, tmp_path: Path, folder: str) -> None:
    files = sdk_session.file
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(name.encode())
        up = files.upload(str(tmp_path / name), f"{folder}/{name}", poll_interval=0.01)
        assert up.success, up.error_message
        assert files.read(f"{folder}/{name}").content == name
        if name == "first":
            files.write(f"{folder}/first", "changed")  # is the session's: the next upload must leave it alone
    assert files.read(f"{folder}/first").content == "changed"
    files.mkdir(f"{folder}/sub")
    files.write(f"{folder}/sub/other", "not asked for")
    down = files.download(f"{folder}/first", str(tmp_path / "down"), poll_interval=0.01)
    assert down.success, down.error_message
    assert (tmp_path / "down").read_bytes() == b"changed"
    context_id = files._file_transfer.context_id
    listed = sdk_session.agb.context.list_files(context_id, f"{folder}/sub").entries
    assert listed == []


def test_elsewhere_than_in_the_session_is_refused_at_once(sdk_session: Any, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"x")
    up = sdk_session.file.upload(str(tmp_path / "up"), "/opt/x", wait_timeout=60, poll_interval=0.01)
    assert not up.success
    assert "is not bound to /opt in this session" in up.error_message
    assert "files are transferred below /tmp and /home/user" in up.error_message
    assert not sdk_session.file.info("/opt/x").success


def test_what_is_missing_is_a_failure(sdk_session: Any, tmp_path: Path) -> None:
    place = sdk_session.file.transfer_path()
    down = sdk_session.file.download(f"{place}/nope", str(tmp_path / "down"), poll_interval=0.01)
    assert (down.success, down.http_status) == (False, 404)
    assert not (tmp_path / "down").exists()


def test_transfers_are_no_context_of_anybody_and_end_with_the_session(
    agb_client: Any, tmp_path: Path
) -> None:
    from agb.session_params import CreateSessionParams

    (tmp_path / "up").write_bytes(b"x")
    before = agb_client.context.list().total_count
    session = agb_client.create(CreateSessionParams(image_id="agb-code-space-1")).session
    place = session.file.transfer_path()
    assert session.file.upload(str(tmp_path / "up"), f"{place}/x", poll_interval=0.01).success
    context_id = session.file._file_transfer.context_id
    assert agb_client.context.list().total_count == before
    assert [e.file_path for e in agb_client.context.list_files(context_id, place).entries] == [f"{place}/x"]
    assert session.delete().success
    assert not agb_client.context.list_files(context_id, place).success


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is measured in /proc, which is Linux's"
)
def test_a_hundred_megabytes_each_way_are_never_in_memory_as_a_whole(
    sdk_session: Any, server: Server, tmp_path: Path
) -> None:
    piece = bytes(range(256)) * 4096
    digest = hashlib.sha256()
    with (tmp_path / "up").open("wb") as file:
        for number in range(100):
            file.write(data := bytes([number]) + piece[1:])
            digest.update(data)
    path = f"{sdk_session.file.transfer_path()}/large"
    memory = MemoryWatch(server)
    up = sdk_session.file.upload(str(tmp_path / "up"), path, wait_timeout=60, poll_interval=0.01)
    assert up.success, up.error_message
    counted = sdk_session.command.execute(f"sha256sum < $TMPDIR/{path[5:]}", timeout_ms=30_000)
    assert counted.stdout.split()[0] == digest.hexdigest()
    down = sdk_session.file.download(path, str(tmp_path / "down"), wait_timeout=60, poll_interval=0.01)
    assert down.success, down.error_message
    assert hashlib.sha256((tmp_path / "down").read_bytes()).hexdigest() == digest.hexdigest()
    growth = memory.growth_mib()
    assert len(growth) >= 3, "server, fork server, agent"
    assert max(growth.values()) < 25, growth
