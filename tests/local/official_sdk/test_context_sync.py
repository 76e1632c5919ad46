"""The official SDK, unmodified: contexts in sessions."""

from __future__ import annotations

import asyncio
import io
import secrets
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.needs_namespaces  # paths in code and commands are the file tools' own

_MOUNT = "/home/project"


@pytest.fixture
def context(agb_client: Any) -> Iterator[Any]:
    created = agb_client.context.create(f"of-a-test-{secrets.token_hex(4)}")
    assert created.success, created.error_message
    yield created.context
    agb_client.context.delete(created.context)


class Client:
    """What these tests do with the SDK."""

    def __init__(self, agb: Any, context: Any) -> None:
        self.agb = agb
        self.context = context

    @contextmanager
    def session(self, policy: Any, path: str = _MOUNT) -> Iterator[Any]:
        """A session that has the context at ``path``; deleted at the end, if the test has not done it."""
        from agb.context_sync import ContextSync
        from agb.session_params import CreateSessionParams

        syncs = [ContextSync.new(self.context.id, path, policy)]
        created = self.agb.create(CreateSessionParams(image_id="agb-code-space-1", context_syncs=syncs))
        assert created.success, created.error_message
        yield created.session
        if created.session.get_status().success:
            deleted = created.session.delete()
            assert deleted.success, deleted.error_message

    def put(self, path: str, data: bytes) -> None:
        url = self.agb.context.get_file_upload_url(self.context.id, path).url
        assert httpx.put(url, content=data, trust_env=False).status_code == 200

    def got(self, path: str) -> bytes:
        url = self.agb.context.get_file_download_url(self.context.id, path).url
        response = httpx.get(url, trust_env=False)
        assert response.status_code == 200, path
        return response.content

    def names(self, folder: str = _MOUNT) -> list[str]:
        return [entry.file_name for entry in self.agb.context.list_files(self.context.id, folder).entries]


@pytest.fixture
def client(agb_client: Any, context: Any) -> Client:
    return Client(agb_client, context)


@pytest.fixture
def policy(sdk: Any) -> Callable[..., Any]:
    """Make a `SyncPolicy` of sub-policies: ``policy(upload={"auto_upload": False})``."""
    from agb import context_sync as names

    kinds = {
        "upload": names.UploadPolicy, "download": names.DownloadPolicy, "delete": names.DeletePolicy,
        "extract": names.ExtractPolicy, "recycle": names.RecyclePolicy, "mapping": names.MappingPolicy,
    }  # fmt: skip

    def make(white_lists: list[tuple[str, list[str]]] | None = None, **parts: Any) -> Any:
        given = {f"{kind}_policy": kinds[kind](**arguments) for kind, arguments in parts.items()}
        if white_lists:
            given["bw_list"] = names.BWList([names.WhiteList(path, out) for path, out in white_lists])
        return names.SyncPolicy(**given)

    return make


def _sync(session: Any, **arguments: Any) -> Any:
    return asyncio.run(session.context.sync(**arguments))


def _tree(session: Any, path: str = _MOUNT) -> list[str]:
    command = f"cd {path} && find . -type f | sort"
    result = session.command.execute(command, timeout_ms=20_000)
    assert result.success, result.stderr
    return [line[2:] for line in result.stdout.splitlines()]


def test_what_a_session_leaves_the_next_one_finds(client: Client, policy: Any) -> None:
    with client.session(policy()) as session:
        assert session.file.list(_MOUNT).entries == []  # the place is there
        session.file.mkdir(f"{_MOUNT}/deep/er")
        session.file.write(f"{_MOUNT}/deep/er/a.txt", "left")
        session.command.execute(
            f"cd {_MOUNT}; printf '#!/bin/sh\\necho ran' > run; chmod 755 run; "
            "touch -d 2024-02-03T04:05:06Z run",
            timeout_ms=20_000,
        )
        session.code.run(f"open('{_MOUNT}/b', 'wb').write(bytes(range(256)) * 9000)", "python")
    assert client.got(f"{_MOUNT}/deep/er/a.txt") == b"left"
    with client.session(policy()) as session:
        assert session.file.read(f"{_MOUNT}/deep/er/a.txt").content == "left"
        assert session.file.read(f"{_MOUNT}/b", format="bytes").content == bytes(range(256)) * 9000
        assert session.command.execute(f"{_MOUNT}/run", timeout_ms=20_000).stdout == "ran\n"
        assert session.file.info(f"{_MOUNT}/run").file_info["modified"] == "2024-02-03T04:05:06Z"
        (task,) = session.context.info().context_status_data
        assert (task.context_id, task.path) == (client.context.id, _MOUNT)
        assert (task.status, task.task_type, task.error_message) == ("Success", "download", "")
        assert 0 < task.start_time <= task.finish_time


def test_what_is_put_by_url_is_in_the_session(client: Client, policy: Any) -> None:
    client.put(f"{_MOUNT}/data/in.bin", b"\0\xff" * 3_000_000)
    client.put("/tmp/elsewhere", b"not there")
    with client.session(policy()) as session:
        assert session.file.read(f"{_MOUNT}/data/in.bin", format="bytes").content == b"\0\xff" * 3_000_000
        assert _tree(session) == ["data/in.bin"]


def test_a_session_that_is_idle_for_too_long_uploads_too(
    client: Client, policy: Any, agb_client: Any
) -> None:
    from agb.context_sync import ContextSync
    from agb.session_params import CreateSessionParams
    from support.deadline import eventually

    params = CreateSessionParams(
        image_id="agb-code-space-1",
        idle_release_timeout=1,
        context_syncs=[ContextSync.new(client.context.id, _MOUNT, policy())],
    )
    session = agb_client.create(params).session
    session.file.write(f"{_MOUNT}/x", "kept")
    eventually(lambda: not session.get_status().success, "the session is released")
    eventually(lambda: client.names() == ["x"], "what it had is uploaded")


def test_sync_context_on_delete_waits_for_the_upload(client: Client, policy: Any) -> None:
    with client.session(policy(upload={"auto_upload": False})) as session:
        session.file.write(f"{_MOUNT}/x", "not by itself")
    assert client.names() == []
    with client.session(policy(upload={"auto_upload": False})) as session:
        session.file.write(f"{_MOUNT}/x", "asked for")
        assert client.agb.delete(session, sync_context=True).success
        assert client.got(f"{_MOUNT}/x") == b"asked for"


def test_without_download_the_context_is_not_in_the_session_and_not_emptied(
    client: Client, policy: Any
) -> None:
    client.put(f"{_MOUNT}/old", b"old")
    with client.session(policy(download={"auto_download": False})) as session:
        assert not session.file.info(f"{_MOUNT}/old").success
        session.file.mkdir(_MOUNT)
        session.file.write(f"{_MOUNT}/new", "new")
    # What the session never had it has not deleted.
    assert client.names() == ["new", "old"]


def test_a_sync_on_demand_goes_either_way(client: Client, policy: Any) -> None:
    manual = policy(upload={"auto_upload": False}, download={"auto_download": False})
    client.put(f"{_MOUNT}/in", b"in")
    with client.session(manual) as session:
        assert session.context.info().context_status_data == []
        session.file.mkdir(_MOUNT)
        session.file.write(f"{_MOUNT}/mine", "mine")
        assert _sync(session, mode="download").success
        assert session.file.read(f"{_MOUNT}/in").content == "in"
        assert session.file.read(f"{_MOUNT}/mine").content == "mine"  # a download deletes nothing
        session.file.write(f"{_MOUNT}/out", "out")
        assert _sync(session).success  # upload is the default
        assert client.got(f"{_MOUNT}/out") == b"out"
        (task,) = session.context.info(task_type="upload").context_status_data
        assert (task.status, task.path) == ("Success", _MOUNT)
        assert session.context.info(task_type="download").context_status_data == []


def test_a_sync_with_a_callback_calls_it(client: Client, policy: Any) -> None:
    with client.session(policy()) as session:
        session.file.write(f"{_MOUNT}/x", "x")
        done = threading.Event()
        results: list[bool] = []

        def callback(success: bool) -> None:
            results.append(success)
            done.set()

        assert _sync(session, callback=callback).success
        assert done.wait(10)
        assert results == [True]
        assert client.names() == ["x"]


def test_a_part_of_a_context_is_synced_by_its_path(client: Client, policy: Any) -> None:
    with client.session(policy(upload={"auto_upload": False})) as session:
        for name in ("one/a", "two/b", "oneself"):
            session.file.mkdir(f"{_MOUNT}/one")
            session.file.mkdir(f"{_MOUNT}/two")
            session.file.write(f"{_MOUNT}/{name}", name)
        result = _sync(session, context_id=client.context.id, path=f"{_MOUNT}/one", mode="upload")
        assert result.success
        assert client.names() == ["one"]
        tasks = session.context.info(context_id=client.context.id, path=f"{_MOUNT}/one").context_status_data
        assert [task.status for task in tasks] == ["Success"]


def test_a_context_that_is_not_bound_there_is_named(client: Client, policy: Any) -> None:
    with client.session(policy()) as session:
        for context_id, path in (
            ("SdkCtx-other", _MOUNT),
            (client.context.id, "/home"),
            (client.context.id, "/tmp"),
        ):
            result = _sync(session, context_id=context_id, path=path)
            assert not result.success
            assert f"Context [{context_id}] is not bound to {path}" in result.error_message
            assert f"{client.context.id} at {_MOUNT}" in result.error_message
            (task,) = session.context.info(context_id=context_id, path=path).context_status_data
            assert task.status == "Failed"


def test_deletions_are_carried_where_the_policy_says_so(client: Client, policy: Any) -> None:
    for name in ("kept", "gone", "dir/gone"):
        client.put(f"{_MOUNT}/{name}", b"x")
    with client.session(policy(delete={"sync_local_file": False})) as session:
        session.command.execute(f"cd {_MOUNT}; rm -r gone dir", timeout_ms=20_000)
    assert client.names() == ["dir", "gone", "kept"]
    with client.session(policy()) as session:
        session.command.execute(f"cd {_MOUNT}; rm -r gone dir", timeout_ms=20_000)
        client.put(f"{_MOUNT}/from-elsewhere", b"x")
    assert client.names() == ["from-elsewhere", "kept"]


def test_only_what_is_on_a_white_list_takes_part(client: Client, policy: Any) -> None:
    lists = [("/src", ["/node_modules"]), ("config", []), ("one.txt", [])]
    names = ["src/a", "src/deep/b", "src/node_modules/c", "src2/d", "config/e", "one.txt", "two.txt"]
    taking_part = ["config/e", "one.txt", "src/a", "src/deep/b"]
    for name in names:
        client.put(f"{_MOUNT}/{name}", b"in")
    with client.session(policy(white_lists=lists)) as session:
        assert _tree(session) == taking_part
        for name in names:
            session.command.execute(
                f"cd {_MOUNT}; mkdir -p $(dirname {name}); echo out > {name}", timeout_ms=20_000
            )
    for name in names:
        assert client.got(f"{_MOUNT}/{name}") == (b"out\n" if name in taking_part else b"in"), name


def test_a_mapping_shows_the_files_of_another_path(client: Client, policy: Any) -> None:
    with client.session(policy(), path="/tmp/mapping") as session:
        session.file.write("/tmp/mapping/test.txt", "made there")
    with client.session(policy(mapping={"path": "/tmp/mapping"}), path="/home/data") as session:
        assert session.file.read("/home/data/test.txt").content == "made there"
        session.file.write("/home/data/new.txt", "made here")
    assert client.names("/tmp/mapping") == ["new.txt", "test.txt"]
    assert client.names("/home") == []


def test_two_contexts_in_one_session_stay_apart(agb_client: Any, client: Client, policy: Any) -> None:
    from agb.context_sync import ContextSync
    from agb.session_params import CreateSessionParams

    other = agb_client.context.create(f"other-{secrets.token_hex(4)}").context
    try:
        syncs = [
            ContextSync.new(client.context.id, "/home/one", policy()),
            ContextSync.new(other.id, "/tmp/two/", policy()),
        ]
        session = agb_client.create(
            CreateSessionParams(image_id="agb-code-space-1", context_syncs=syncs)
        ).session
        session.file.write("/home/one/x", "1")
        session.file.write("/tmp/two/y", "2")
        assert session.delete().success
        assert client.names("/home/one") == ["x"]
        assert [e.file_path for e in agb_client.context.list_files(other.id, "/tmp/two").entries] == [
            "/tmp/two/y"
        ]
    finally:
        agb_client.context.delete(other)


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("extract", "found"),
    [
        ({}, ["lib/pack/a", "lib/pack/deep/b", "plain"]),
        ({"extract_current_folder": True}, ["lib/a", "lib/deep/b", "plain"]),
        ({"delete_src_file": False}, ["lib/pack.zip", "lib/pack/a", "lib/pack/deep/b", "plain"]),
        ({"extract": False}, ["lib/pack.zip", "plain"]),
    ],
)
def test_archives_are_unpacked_as_the_policy_says(
    client: Client, policy: Any, extract: dict[str, bool], found: list[str]
) -> None:
    client.put(f"{_MOUNT}/lib/pack.zip", _zip(**{"a": b"A", "deep/b": b"B"}))
    client.put(f"{_MOUNT}/plain", b"plain")
    with client.session(policy(extract=extract)) as session:
        assert _tree(session) == found
        for name in found:
            if name.endswith("/a"):
                assert session.file.read(f"{_MOUNT}/{name}").content == "A"
    # The archive is still in the context: who unpacked it has not deleted it.
    assert "pack.zip" in client.names(f"{_MOUNT}/lib")


def test_a_file_wins_over_its_like_in_an_archive(client: Client, policy: Any) -> None:
    client.put(f"{_MOUNT}/pack.zip", _zip(a=b"of the archive"))
    with client.session(policy()) as session:
        session.file.write(f"{_MOUNT}/pack/a", "changed since")
    with client.session(policy()) as session:
        assert session.file.read(f"{_MOUNT}/pack/a").content == "changed since"


def test_an_archive_upload_is_one_zip_and_comes_back(client: Client, policy: Any) -> None:
    archived = policy(upload={"upload_mode": _archive_mode()})
    with client.session(archived) as session:
        session.command.execute(
            f"cd {_MOUNT}; mkdir deep; echo a > a.txt; echo b > deep/b.txt; chmod 755 a.txt",
            timeout_ms=20_000,
        )
    assert client.names() == ["project.zip"]
    with zipfile.ZipFile(io.BytesIO(client.got(f"{_MOUNT}/project.zip"))) as archive:
        assert archive.namelist() == ["a.txt", "deep/b.txt"]
        assert archive.read("a.txt") == b"a\n"
    with client.session(archived) as session:
        assert _tree(session) == ["a.txt", "deep/b.txt"]
        assert session.file.info(f"{_MOUNT}/a.txt").file_info["mode"] == 755
        session.command.execute(f"cd {_MOUNT}; rm a.txt; echo c > c.txt", timeout_ms=20_000)
    with client.session(archived) as session:
        assert _tree(session) == ["c.txt", "deep/b.txt"]


def _archive_mode() -> Any:
    from agb.context_sync import UploadMode

    return UploadMode.ARCHIVE


@pytest.mark.parametrize("name", ["../outside", "/../../outside", "a/../../../outside"])
def test_an_archive_whose_names_lead_out_is_refused_whole(client: Client, policy: Any, name: str) -> None:
    client.put(f"{_MOUNT}/evil.zip", _zip(**{"fine": b"fine", name: b"evil"}))
    client.put(f"{_MOUNT}/other", b"other")
    with client.session(policy()) as session:
        (task,) = session.context.info().context_status_data
        assert task.status == "Failed"
        assert f"{_MOUNT}/evil.zip: a name in it leads out of it" in task.error_message
        # Nothing of it is unpacked; it is there as it is, and so is the rest.
        assert _tree(session) == ["evil.zip", "other"]
        assert not session.file.info("/home/outside").success


def test_an_absolute_name_and_a_link_in_an_archive_stay_inside(client: Client, policy: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("/etc/absolute", b"inside")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc")
        archive.writestr("link/passwd", b"inside")
    client.put(f"{_MOUNT}/odd.zip", buffer.getvalue())
    with client.session(policy()) as session:
        assert _tree(session) == ["odd/etc/absolute", "odd/link/passwd"]
        assert not session.file.info("/etc/absolute").success


@pytest.mark.parametrize(
    "data", [b"no archive", _zip(a=b"x" * 5000)[:-10], _zip(a=b"x" * 5000).replace(b"xxx", b"yyy", 1)]
)
def test_a_damaged_archive_is_named_and_left_as_it_is(client: Client, policy: Any, data: bytes) -> None:
    client.put(f"{_MOUNT}/bad.zip", data)
    with client.session(policy()) as session:
        (task,) = session.context.info().context_status_data
        assert task.status == "Failed"
        assert f"{_MOUNT}/bad.zip: it can't be unpacked" in task.error_message
        assert session.file.read(f"{_MOUNT}/bad.zip", format="bytes").content == data


def test_links_of_a_session_are_not_carried(client: Client, policy: Any) -> None:
    with client.session(policy()) as session:
        session.command.execute(
            f"cd {_MOUNT}; ln -s /etc/passwd link; ln -s /etc etc; echo x > file; mkfifo pipe; mkdir empty",
            timeout_ms=20_000,
        )
    assert client.names() == ["file"]


def test_a_place_that_cannot_be_made_is_named_and_the_session_lives(client: Client, policy: Any) -> None:
    client.put("/usr/share/x/file", b"x")
    with client.session(policy(), path="/usr/share/x") as session:
        (task,) = session.context.info().context_status_data
        assert task.status == "Failed"
        assert "/usr/share/x" in task.error_message
        assert session.command.execute("echo alive", timeout_ms=20_000).stdout == "alive\n"


def test_files_of_a_mount_that_replaces_a_link_are_inside_the_sandbox(client: Client, policy: Any) -> None:
    client.put(f"{_MOUNT}/link/passwd", b"mine")
    with client.session(policy(download={"auto_download": False})) as session:
        session.command.execute(f"mkdir -p {_MOUNT}; ln -s /etc {_MOUNT}/link", timeout_ms=20_000)
        result = _sync(session, mode="download")
        assert not result.success
        (task,) = session.context.info().context_status_data
        assert f"{_MOUNT}/link/passwd" in task.error_message


@pytest.mark.parametrize(
    ("path", "words"),
    [("relative", "path must be absolute"), ("/tmp/../..", "leads out"), ("/", "names no file")],
)
def test_a_path_that_is_none_is_refused(
    agb_client: Any, client: Client, policy: Any, path: str, words: str
) -> None:
    from agb.context_sync import ContextSync
    from agb.session_params import CreateSessionParams

    syncs = [ContextSync.new(client.context.id, path, policy())]
    result = agb_client.create(CreateSessionParams(image_id="agb-code-space-1", context_syncs=syncs))
    assert not result.success
    assert words in result.error_message


def test_an_unknown_context_makes_no_session(agb_client: Any, policy: Any) -> None:
    from agb.context_sync import ContextSync
    from agb.session_params import CreateSessionParams

    before = agb_client.list().total_count
    syncs = [ContextSync.new("SdkCtx-unknown", _MOUNT, policy())]
    result = agb_client.create(CreateSessionParams(image_id="agb-code-space-1", context_syncs=syncs))
    assert not result.success
    assert result.error_message == "Context [SdkCtx-unknown] is not found"
    assert agb_client.list().total_count == before


def test_a_context_that_is_deleted_while_in_use_costs_the_files_only(client: Client, policy: Any) -> None:
    with client.session(policy()) as session:
        assert client.agb.context.delete(client.context).success
        session.file.write(f"{_MOUNT}/x", "x")
        result = _sync(session)
        assert not result.success
        (task,) = session.context.info().context_status_data
        assert "is not found" in task.error_message
