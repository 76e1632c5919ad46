"""The official SDK, unmodified: contexts and the files in them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest


@pytest.fixture
def context(agb_client: Any) -> Iterator[Any]:
    created = agb_client.context.create(f"of-a-test-{secrets.token_hex(4)}")
    assert created.success, created.error_message
    yield created.context
    agb_client.context.delete(created.context)


def _put(agb_client: Any, context: Any, path: str, data: bytes) -> None:
    url = agb_client.context.get_file_upload_url(context.id, path)
    assert url.success, url.error_message
    assert httpx.put(url.url, content=data, trust_env=False).status_code == 200


def _got(agb_client: Any, context: Any, path: str) -> bytes | None:
    """What a download gives; ``None`` if the file is not there."""
    url = agb_client.context.get_file_download_url(context.id, path)
    assert url.success, url.error_message
    response = httpx.get(url.url, trust_env=False)
    assert response.status_code in (200, 404)
    return response.content if response.status_code == 200 else None


def test_a_context_is_made_got_renamed_and_deleted(agb_client: Any) -> None:
    contexts = agb_client.context
    name = f"project-{secrets.token_hex(4)}"
    missing = contexts.get(name)
    assert not missing.success
    assert missing.error_message == f"Context [{name}] is not found"
    made = contexts.create(name)
    assert made.success
    assert made.context_id.startswith("SdkCtx-")
    assert (made.context.name, made.context.id) == (name, made.context_id)
    assert made.context.created_at <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    # By name or by ID, and `create` does not make a second one.
    for found in (
        contexts.get(name),
        contexts.get(name, create=True),
        contexts.get(context_id=made.context_id),
    ):
        assert (found.success, found.context_id, found.context.name) == (True, made.context_id, name)
    made.context.name = f"{name}-renamed"
    assert contexts.update(made.context).success
    assert contexts.get(f"{name}-renamed").context_id == made.context_id
    assert not contexts.get(name).success
    assert contexts.delete(made.context).success
    for gone in (
        contexts.get(context_id=made.context_id),
        contexts.get(f"{name}-renamed"),
        contexts.delete(made.context),
        contexts.update(made.context),
        contexts.clear_async(made.context_id),
        contexts.list_files(made.context_id),
        contexts.get_file_upload_url(made.context_id, "/x"),
        contexts.delete_file(made.context_id, "/x"),
    ):
        assert not gone.success
        assert "not found" in gone.error_message


def test_two_contexts_never_have_one_name(agb_client: Any, context: Any) -> None:
    other = agb_client.context.create(f"other-{secrets.token_hex(4)}").context
    try:
        other.name = context.name
        result = agb_client.context.update(other)
        assert not result.success
        assert f"there is a context named {context.name!r} already" in result.error_message
    finally:
        agb_client.context.delete(other)


def test_contexts_are_listed_in_pages(agb_client: Any) -> None:
    from agb.context import ContextListParams

    made = [agb_client.context.create(f"listed-{n}-{secrets.token_hex(4)}").context for n in range(3)]
    try:
        everything = agb_client.context.list(ContextListParams(max_results=1000))
        assert everything.success
        ours = [one.id for one in everything.contexts]
        assert [one for one in ours if one in {c.id for c in made}] == [one.id for one in made]
        # The SDK 0.12 looks for the next page's token in a place where a list has none, so it is given here.
        start = ours.index(made[0].id)
        page = agb_client.context.list(ContextListParams(max_results=2, next_token=str(start)))
        assert [one.id for one in page.contexts] == [one.id for one in made[:2]]
        rest = agb_client.context.list(ContextListParams(max_results=2, next_token=str(start + 2)))
        assert [one.id for one in rest.contexts][:1] == [made[2].id]
    finally:
        for one in made:
            agb_client.context.delete(one)


def test_a_file_goes_in_and_out_by_url(agb_client: Any, context: Any) -> None:
    data = bytes(range(256)) * 100
    before = int(time.time())
    upload = agb_client.context.get_file_upload_url(context.id, "/tmp/dir/file ä.bin")
    assert upload.success
    assert before + 3500 < upload.expire_time < before + 3700
    response = httpx.put(upload.url, content=data, trust_env=False)
    assert response.status_code == 200
    assert response.headers["etag"]
    assert _got(agb_client, context, "/tmp/dir/file ä.bin") == data
    # The same file, however the path is spelled.
    assert _got(agb_client, context, "tmp//dir/./file ä.bin") == data
    assert _got(agb_client, context, "/tmp/dir/other") is None
    _put(agb_client, context, "/tmp/dir/file ä.bin", b"new")
    assert _got(agb_client, context, "/tmp/dir/file ä.bin") == b"new"
    _put(agb_client, context, "/empty", b"")
    assert _got(agb_client, context, "/empty") == b""


def test_files_are_listed_by_folder_in_pages(agb_client: Any, context: Any) -> None:
    for path in ("/tmp/b.txt", "/tmp/a.txt", "/tmp/sub/c.txt", "/other.txt"):
        _put(agb_client, context, path, path.encode())
    listed = agb_client.context.list_files(context.id, "/tmp")
    assert listed.success
    assert [(e.file_name, e.file_path, e.file_type, e.size) for e in listed.entries] == [
        ("a.txt", "/tmp/a.txt", "file", 10),
        ("b.txt", "/tmp/b.txt", "file", 10),
        ("sub", "/tmp/sub", "folder", 0),
    ]
    assert all(e.file_id and e.gmt_create and e.gmt_modified for e in listed.entries)
    assert [e.file_name for e in agb_client.context.list_files(context.id).entries] == ["other.txt", "tmp"]
    pages = [agb_client.context.list_files(context.id, "/tmp", number, 2) for number in (1, 2, 3)]
    assert [[e.file_name for e in page.entries] for page in pages] == [["a.txt", "b.txt"], ["sub"], []]
    assert [page.count for page in pages] == [3, 3, 3]
    assert agb_client.context.list_files(context.id, "/nowhere").entries == []


def test_a_file_is_deleted_and_its_empty_folder_with_it(agb_client: Any, context: Any) -> None:
    _put(agb_client, context, "/tmp/deep/er/x", b"x")
    assert agb_client.context.delete_file(context.id, "/tmp/deep/er/x").success
    assert agb_client.context.list_files(context.id).entries == []
    again = agb_client.context.delete_file(context.id, "/tmp/deep/er/x")
    assert not again.success
    assert again.error_message == "File [/tmp/deep/er/x] is not found in the context"


def test_clearing_empties_a_context_and_keeps_it(agb_client: Any, context: Any) -> None:
    _put(agb_client, context, "/tmp/x", b"x")
    started = agb_client.context.clear_async(context.id)
    assert (started.success, started.status) == (True, "clearing")
    assert agb_client.context.get_clear_status(context.id).status == "available"
    assert agb_client.context.list_files(context.id).entries == []
    _put(agb_client, context, "/tmp/y", b"y")
    result = agb_client.context.clear(context.id, poll_interval=0.01)
    assert (result.success, result.status, result.context_id) == (True, "available", context.id)
    assert _got(agb_client, context, "/tmp/y") is None
    assert agb_client.context.get(context.name).context_id == context.id


@pytest.mark.parametrize(
    "path",
    ["../../../about.json", "/tmp/../../x", "..", "/a/b/../../../../etc/passwd", "a" * 300, "/", "x\0y"],
)
def test_no_path_leads_out_of_its_context(agb_client: Any, context: Any, path: str) -> None:
    contexts = agb_client.context
    for result in (
        contexts.get_file_upload_url(context.id, path),
        contexts.get_file_download_url(context.id, path),
        contexts.delete_file(context.id, path),
    ):
        assert not result.success
        assert "path" in result.error_message
    if path != "/":
        assert not contexts.list_files(context.id, path).success


def test_a_path_below_a_file_is_refused(agb_client: Any, context: Any) -> None:
    _put(agb_client, context, "/tmp/x", b"x")
    url = agb_client.context.get_file_upload_url(context.id, "/tmp/x/y").url
    response = httpx.put(url, content=b"y", trust_env=False)
    assert response.status_code == 409
    assert "a part of the path is a file already" in response.json()["message"]
    url = agb_client.context.get_file_upload_url(context.id, "/tmp").url
    assert httpx.put(url, content=b"y", trust_env=False).status_code == 409
    assert _got(agb_client, context, "/tmp/x") == b"x"


def test_the_extension_service_of_the_sdk_works(agb_client: Any, tmp_path: Path) -> None:
    from agb.extension import ExtensionsService

    archive = tmp_path / "extension.zip"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))  # an empty one
    service = ExtensionsService(agb_client, f"extensions-{secrets.token_hex(4)}")
    try:
        made = service.create(str(archive))
        assert [one.id for one in service.list()] == [made.id]
        service.update(made.id, str(archive))
        assert service.delete(made.id)
        assert service.list() == []
    finally:
        assert service.cleanup()
