"""Contexts end with the server, unless it was given a directory for them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.deadline import eventually
from support.local_server import Api, command, environment, serving


def _put(api: Api, context_id: str, path: str, data: bytes) -> None:
    answer = api.post("/sdk/GetContextFileUploadUrl", contextId=context_id, filePath=path)
    assert httpx.put(answer["data"]["url"], content=data, trust_env=False).status_code == 200


def _got(api: Api, context_id: str, path: str) -> bytes:
    answer = api.post("/sdk/GetContextFileDownloadUrl", contextId=context_id, filePath=path)
    return httpx.get(answer["data"]["url"], trust_env=False).content


def _context(api: Api, name: str, create: str = "true") -> str:
    answer = api.http.get("/sdk/GetContext", params={"name": name, "allowCreate": create}).json()
    assert answer["success"], answer
    context_id: str = answer["data"]["id"]
    return context_id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_contexts_outlive_the_server_in_their_directory(tmp_path: Path, number: int) -> None:
    directory = tmp_path / "kept" / "here"
    with serving("--isolation", "any", "--data-dir", str(directory)) as server:
        api = Api(server)
        with api.http:
            context_id = _context(api, "kept")
            _put(api, context_id, "/tmp/a/b.txt", b"kept")
            server.process.send_signal(number)
            server.process.wait(10)
    assert directory.stat().st_mode & 0o777 == 0o700
    with serving("--isolation", "any", "--data-dir", str(directory)) as server:
        api = Api(server)
        with api.http:
            assert _context(api, "kept", create="false") == context_id
            assert _got(api, context_id, "/tmp/a/b.txt") == b"kept"


def test_without_a_directory_nothing_is_left(tmp_path: Path) -> None:
    with serving("--isolation", "any", prefix=("env", f"TMPDIR={tmp_path}")) as server:
        api = Api(server)
        with api.http:
            _put(api, _context(api, "gone"), "/tmp/x", b"x")
        assert list(tmp_path.rglob("x"))
    eventually(lambda: not list(tmp_path.iterdir()), "nothing is left on disk")


def test_two_servers_do_not_share_a_directory(tmp_path: Path) -> None:
    with serving("--isolation", "any", "--data-dir", str(tmp_path)):
        done = subprocess.run(
            command("--isolation", "any", "--data-dir", str(tmp_path)),
            env=environment(), capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"pytest-agb: another server uses {tmp_path}; end it, or give another --data-dir\n"


@pytest.mark.parametrize(
    ("place", "why"),
    [("file", "File exists"), ("file/below", "Not a directory"), ("/proc/x", "No such file")],
)
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        command("--isolation", "any", "--data-dir", str(tmp_path / place)),
        env=environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"contexts can't be kept in {tmp_path / place} ({why}" in done.stderr
    assert "give another --data-dir" in done.stderr


@pytest.mark.parametrize("text", ["{", "[]", '{"odd": 1}', json.dumps({"context_id": "SdkCtx-other"})])
def test_a_damaged_context_is_named_and_not_touched(tmp_path: Path, text: str) -> None:
    about = tmp_path / "SdkCtx-1" / "about.json"
    about.parent.mkdir()
    about.write_text(text)
    done = subprocess.run(
        command("--isolation", "any", "--data-dir", str(tmp_path)),
        env=environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{about} can't be read" in done.stderr
    assert "repair it or move it away" in done.stderr
    assert about.read_text() == text


def test_a_broken_upload_leaves_the_old_file(tmp_path: Path) -> None:
    with serving("--isolation", "any", "--data-dir", str(tmp_path)) as server:
        api = Api(server)
        with api.http:
            context_id = _context(api, "one")
            _put(api, context_id, "/tmp/x", b"old")
            answer = api.post("/sdk/GetContextFileUploadUrl", contextId=context_id, filePath="/tmp/x")
            parts = urlsplit(answer["data"]["url"])
            request = (
                f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf"
            )
            incoming = tmp_path / "incoming"
            with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
                connection.sendall(request.encode())
                eventually(lambda: list(incoming.iterdir()), "the upload has begun")
            eventually(lambda: not list(incoming.iterdir()), "the half upload is gone")
            assert _got(api, context_id, "/tmp/x") == b"old"


def test_how_long_files_are_kept_is_noted_with_the_upload(tmp_path: Path) -> None:
    with serving("--isolation", "any", "--data-dir", str(tmp_path)) as server:
        api = Api(server)
        with api.http:
            context_id = _context(api, "one")
            policy = {"recyclePolicy": {"lifecycle": "Lifecycle_3Days", "paths": ["/cache/", "logs"]}}
            bound: dict[str, Any] = {"contextId": context_id, "path": "/tmp/work/"}
            bound["policy"] = json.dumps(policy)
            about = tmp_path / context_id / "about.json"
            sandbox = api.create(persistenceDataList=[bound])
            assert json.loads(about.read_text())["recycle"] == {}
            sandbox.release()
            rules = json.loads(about.read_text())["recycle"]
            assert rules == {"/tmp/work/cache": 259200.0, "/tmp/work/logs": 259200.0}
            bound["policy"] = {"recyclePolicy": {"lifecycle": "Lifecycle_Forever", "paths": ["cache"]}}
            api.create(persistenceDataList=[bound]).release()
            assert json.loads(about.read_text())["recycle"] == {"/tmp/work/logs": 259200.0}


def test_a_server_that_is_told_to_end_uploads_first(tmp_path: Path) -> None:
    with serving("--isolation", "any", "--data-dir", str(tmp_path)) as server:
        api = Api(server)
        with api.http:
            context_id = _context(api, "one")
            sandbox = api.create(persistenceDataList=[{"contextId": context_id, "path": "/tmp/work"}])
            sandbox.tool("write_file", path="/tmp/work/x", content="kept")
            server.process.terminate()
            assert server.process.wait(10) == 0
    assert (tmp_path / context_id / "files" / "tmp" / "work" / "x").read_text() == "kept"


def test_nothing_secret_is_on_disk(tmp_path: Path) -> None:
    with serving("--isolation", "any", "--data-dir", str(tmp_path)) as server:
        api = Api(server)
        with api.http:
            context_id = _context(api, "one")
            answer = api.post("/sdk/GetContextFileUploadUrl", contextId=context_id, filePath="/tmp/x")
            signature = answer["data"]["url"].rpartition("signature=")[2]
            _put(api, context_id, "/tmp/x", b"x")
        everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert server.api_key.encode() not in everything
        assert signature.encode() not in everything
