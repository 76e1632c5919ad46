"""The store of contexts holds to its directory, and to the time that files are kept."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError, ContextFiles, clean
from pytest_agb.local.contexts.store import ContextStore

_DAY = 86400.0


@pytest.fixture
def files(tmp_path: Path) -> ContextFiles:
    (tmp_path / "context" / "files").mkdir(parents=True)
    return ContextFiles(tmp_path / "context" / "files", tmp_path / "incoming")


def _write(files: ContextFiles, key: str, data: bytes = b"x") -> None:
    with files.writing(key) as file:
        file.write(data)


def _read(files: ContextFiles, key: str) -> bytes:
    with files.read(key) as file:
        return file.read()


@pytest.mark.parametrize(
    ("path", "key"),
    [("/tmp/a", "/tmp/a"), ("tmp/a", "/tmp/a"), ("//tmp///a/", "/tmp/a"), ("/./tmp/./a", "/tmp/a")],
)
def test_a_file_has_one_key(path: str, key: str) -> None:
    assert clean(path) == key


@pytest.mark.parametrize(
    "path", ["..", "../x", "/tmp/..", "/a/../../b", "/a/..", "", "/", ".", "x\0", "\ud800", "a" * 256]
)
def test_what_is_no_key_is_refused(path: str) -> None:
    with pytest.raises(ContextFileError):
        clean(path)


def test_links_that_lead_out_are_not_followed(files: ContextFiles, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    root = tmp_path / "context" / "files"
    (root / "file").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    for key in ("/file", "/folder/secret"):
        with pytest.raises(ContextFileError, match="leads out"):
            files.read(key)
        with pytest.raises(ContextFileError, match="leads out"):
            _write(files, key)
        with pytest.raises(ContextFileError, match="leads out"):
            files.delete(key)
    assert files.below("/") == {}
    assert secret.read_text() == "secret"


def test_a_file_is_seen_when_it_is_whole(files: ContextFiles, tmp_path: Path) -> None:
    _write(files, "/a", b"old")
    with files.writing("/a") as file:
        file.write(b"half")
        file.flush()
        assert _read(files, "/a") == b"old"
    assert _read(files, "/a") == b"half"
    broken = files.writing("/a")
    broken.__enter__().write(b"never")
    broken.__exit__(RuntimeError, RuntimeError("broken off"), None)
    assert _read(files, "/a") == b"half"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_file_for_a_context_that_was_deleted_is_not_kept(files: ContextFiles, tmp_path: Path) -> None:
    writing = files.writing("/a")
    writing.__enter__()
    shutil.rmtree(tmp_path / "context")
    with pytest.raises(ContextFileNotFoundError, match="deleted meanwhile"):
        writing.__exit__(None, None, None)
    assert not (tmp_path / "context").exists()


def test_below_is_everything_and_a_folder_what_is_in_it(files: ContextFiles) -> None:
    for key in ("/tmp/a", "/tmp/sub/b", "/tmpish", "/home/c"):
        _write(files, key)
    assert sorted(files.below("/tmp")) == ["a", "sub/b"]
    assert sorted(files.below("/")) == ["home/c", "tmp/a", "tmp/sub/b", "tmpish"]
    assert [entry.key for entry in files.folder("/tmp")] == ["/tmp/a", "/tmp/sub"]
    assert files.below("/tmp/a") == {}


def test_files_are_kept_for_their_time_and_others_for_ever(tmp_path: Path) -> None:
    now = [0.0]
    contexts = ContextStore(tmp_path, clock=lambda: time.time() + now[0])
    context_id = contexts.create("one").context_id
    files = contexts.files(context_id)
    for key in ("/tmp/cache/a", "/tmp/cache/deep/b", "/tmp/cached", "/tmp/logs/c"):
        _write(files, key)
    contexts.set_recycling(context_id, "/tmp/cache", _DAY)
    contexts.set_recycling(context_id, "/tmp/logs", _DAY)
    contexts.set_recycling(context_id, "/tmp/logs", None)
    now[0] = _DAY - 60
    contexts.recycle()
    assert len(files.below("/")) == 4
    now[0] = _DAY + 60
    contexts.close()
    # The rule is kept with the context.
    contexts = ContextStore(tmp_path, clock=lambda: time.time() + now[0])
    contexts.recycle()
    assert sorted(contexts.files(context_id).below("/")) == ["tmp/cached", "tmp/logs/c"]
    contexts.close()


def test_a_context_that_cannot_be_recycled_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contexts = ContextStore(tmp_path)
    broken, whole = (contexts.create(name).context_id for name in ("broken", "whole"))
    _write(contexts.files(whole), "/tmp/x")
    contexts.set_recycling(broken, "/" + "x" * 300, 0.0)  # more than a name may have
    contexts.set_recycling(whole, "/tmp", 0.0)
    contexts.recycle()
    assert contexts.files(whole).below("/") == {}
    assert broken in caplog.text
    contexts.close()


def test_a_server_looks_for_what_has_expired_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_agb.local.contexts.store._RECYCLE_SECONDS", 0.01)
    contexts = ContextStore(tmp_path)
    context_id = contexts.create("one").context_id
    files = contexts.files(context_id)

    async def scenario() -> None:
        looking = asyncio.create_task(contexts.recycle_forever())
        for key in ("/a", "/b"):
            _write(files, key)
            contexts.set_recycling(context_id, key.rpartition("/")[0] or "/", 0.0)
            deadline = time.monotonic() + 10
            while files.below("/") and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            assert files.below("/") == {}
        looking.cancel()

    asyncio.run(scenario())
    contexts.close()


def test_what_was_for_one_session_is_gone_with_the_server(tmp_path: Path) -> None:
    contexts = ContextStore(tmp_path)
    kept, internal = contexts.create("kept"), contexts.create("for a session", internal=True)
    assert [context.name for context in contexts.listed()] == ["kept"]
    assert contexts.named("for a session") is None
    contexts.close()
    contexts = ContextStore(tmp_path)
    assert contexts.get(kept.context_id).name == "kept"
    assert not (tmp_path / internal.context_id).exists()
    contexts.close()


def test_a_deleted_context_leaves_nothing(tmp_path: Path) -> None:
    contexts = ContextStore(tmp_path)
    context_id = contexts.create("one").context_id
    _write(contexts.files(context_id), "/tmp/deep/x")
    asyncio.run(contexts.delete(context_id))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["incoming", "lock"]
    contexts.close()
