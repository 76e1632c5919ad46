"""The official SDK, unmodified: a directory is watched."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.deadline import eventually
from support.local_server import Sandbox

#: Seconds between the SDK's looks.
_INTERVAL = 0.05


class Watch:
    """The SDK's `watch_dir`, and what it reported."""

    def __init__(self, session: Any, path: str) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.thread = session.file.watch_dir(path, self._note, interval=_INTERVAL)

    def _note(self, events: list[Any]) -> None:
        self.events += [(event.event_type, event.path, event.path_type) for event in events]

    def __enter__(self) -> Watch:
        self.thread.start()
        assert self.thread.ready_event.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.stop_event.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def reports(self, *event: str) -> None:
        eventually(lambda: event in self.events, f"{event} is reported")


def test_what_is_made_changed_and_deleted_is_reported_once(sdk_session: Any) -> None:
    files = sdk_session.file
    files.mkdir("/tmp/w")
    files.write("/tmp/w/old", "was here")
    with Watch(sdk_session, "/tmp/w") as watch:
        files.write("/tmp/w/a.txt", "one")
        watch.reports("create", "/tmp/w/a.txt", "file")
        files.write("/tmp/w/a.txt", "two")
        watch.reports("modify", "/tmp/w/a.txt", "file")
        files.mkdir("/tmp/w/sub")
        watch.reports("create", "/tmp/w/sub", "directory")
        sdk_session.command.execute("echo x > $TMPDIR/w/sub/deep", timeout_ms=20_000)
        watch.reports("create", "/tmp/w/sub/deep", "file")
        files.remove("/tmp/w/old")
        watch.reports("delete", "/tmp/w/old", "file")
        sdk_session.command.execute("rm -r $TMPDIR/w/sub", timeout_ms=20_000)
        watch.reports("delete", "/tmp/w/sub", "directory")
    assert len(watch.events) == len(set(watch.events))


def test_two_directories_are_watched_apart(sdk_session: Any) -> None:
    for name in ("one", "two"):
        sdk_session.file.mkdir(f"/tmp/{name}")
    with Watch(sdk_session, "/tmp/one") as one, Watch(sdk_session, "/tmp/two") as two:
        sdk_session.file.write("/tmp/one/x", "1")
        sdk_session.file.write("/tmp/two/y", "2")
        one.reports("create", "/tmp/one/x", "file")
        two.reports("create", "/tmp/two/y", "file")
    assert one.events == [("create", "/tmp/one/x", "file")]
    assert two.events == [("create", "/tmp/two/y", "file")]


def test_a_look_of_its_own(sdk_session: Any) -> None:
    sdk_session.file.mkdir("/tmp/w")
    sdk_session.file.write("/tmp/w/f", "1")
    first = sdk_session.file._get_file_change("/tmp/w")
    assert (first.success, first.has_changes()) == (True, False)
    sdk_session.file.write("/tmp/w/f", "changed")
    second = sdk_session.file._get_file_change("/tmp/w")
    assert second.get_modified_files() == ["/tmp/w/f"]
    assert not sdk_session.file._get_file_change("/tmp/w").has_changes()


def test_a_missing_directory_is_named_and_watching_goes_on(sdk_session: Any) -> None:
    result = sdk_session.file._get_file_change("/tmp/nope")
    assert not result.success
    assert "not found: /tmp/nope" in result.error_message
    with Watch(sdk_session, "/tmp/later") as watch:
        sdk_session.file.mkdir("/tmp/later")
        # The first look that finds the directory is the baseline, so write until one finds a difference.
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.wait(_INTERVAL):
                sdk_session.file.write(f"/tmp/later/{number}", "x")
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            eventually(lambda: watch.events, "a change is reported")
        finally:
            stop.set()
            writer.join()


def test_a_file_that_becomes_a_directory_is_deleted_and_made(sandbox: Sandbox) -> None:
    sandbox.shell("mkdir w; echo x > w/n")
    sandbox.tool("get_file_change", path="w")
    sandbox.shell("rm w/n; mkdir w/n")
    ok, text = sandbox.tool("get_file_change", path="w/")
    assert ok
    assert text == (
        '[{"eventType": "delete", "path": "w/n", "pathType": "file"}, '
        '{"eventType": "create", "path": "w/n", "pathType": "directory"}]'
    )


def test_links_are_not_followed(sandbox: Sandbox) -> None:
    sandbox.shell("mkdir w other; ln -s ../other w/link; ln -s . w/loop")
    sandbox.tool("get_file_change", path="w")
    sandbox.shell("echo x > other/unseen")
    assert sandbox.tool("get_file_change", path="w") == (True, "[]")


@pytest.mark.parametrize("command", ["rm -r w", "rm -r w; echo x > w"])
def test_a_watched_directory_that_is_gone_is_an_error(sandbox: Sandbox, command: str) -> None:
    sandbox.shell("mkdir w")
    sandbox.tool("get_file_change", path="w")
    sandbox.shell(command)
    ok, text = sandbox.tool("get_file_change", path="w")
    assert not ok
    assert text == "not found: w"


def test_too_many_entries_are_refused(sandbox: Sandbox) -> None:
    sandbox.code("import os; os.mkdir('w')\nfor n in range(100_001): open(f'w/{n}', 'w').close()")
    ok, text = sandbox.tool("get_file_change", path="w")
    assert not ok
    assert "more than 100000 entries" in text
