"""The official SDK, unmodified, can't tell the difference: a session's life."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


@pytest.fixture
def params(sdk: Any) -> Any:
    from agb.session_params import CreateSessionParams

    return CreateSessionParams


def test_create_gives_a_described_session(sdk_session: Any) -> None:
    assert sdk_session.session_id.startswith("session-")
    assert sdk_session.app_instance_id
    assert sdk_session.resource_id
    assert "resourceId=" in sdk_session.resource_url


def test_get_finds_it_with_a_new_authorization_each_time(agb_client: Any, sdk_session: Any) -> None:
    first = agb_client.get(sdk_session.session_id)
    second = agb_client.get(sdk_session.session_id)
    assert first.success
    assert first.session.session_id == sdk_session.session_id
    assert first.session.resource_id == sdk_session.resource_id
    assert first.session.resource_url != second.session.resource_url


def test_list_filters_by_all_labels_and_pages(agb_client: Any, params: Any) -> None:
    mark = secrets.token_hex(4)
    sessions = [
        agb_client.create(
            params(image_id="agb-code-space-1", labels={"mark": mark, "n": str(n % 2), "名": "测试"})
        ).session
        for n in range(3)
    ]
    try:
        everything = agb_client.list({"mark": mark}, limit=2)
        assert (everything.success, everything.total_count, len(everything.session_ids)) == (True, 3, 2)
        rest = agb_client.list({"mark": mark}, page=2, limit=2)
        assert sorted(everything.session_ids + rest.session_ids) == sorted(s.session_id for s in sessions)
        assert rest.next_token == ""
        assert agb_client.list({"mark": mark, "n": "1"}).session_ids == [sessions[1].session_id]
        assert agb_client.list({"mark": mark, "n": "9"}).session_ids == []
        assert not agb_client.list({"mark": mark}, page=3, limit=2).success
    finally:
        for session in sessions:
            assert agb_client.delete(session).success
    assert agb_client.list({"mark": mark}).total_count == 0


def test_set_labels_replaces_them_all(sdk_session: Any) -> None:
    assert sdk_session.set_labels({"project": "demo", "stage": "one"}).success
    assert sdk_session.set_labels({"stage": "two"}).success
    assert sdk_session.get_labels().data == {"stage": "two"}


def test_labels_of_a_session_made_without_any_are_empty(sdk_session: Any) -> None:
    assert sdk_session.get_labels().data == {}


def test_info_status_and_keep_alive(sdk_session: Any) -> None:
    assert "resourceId=" in sdk_session.info().data["resource_url"]
    assert sdk_session.get_status().status == "RUNNING"
    assert sdk_session.keep_alive().success


def test_tools_are_listed(sdk_session: Any) -> None:
    tools = {tool.name: tool for tool in sdk_session.list_mcp_tools().tools}
    assert {"shell", "run_code", "read_file", "write_file"} <= set(tools)
    assert tools["shell"].input_schema["required"] == ["command"]


def test_delete_is_done_when_it_returns(agb_client: Any, params: Any) -> None:
    session = agb_client.create(params(image_id="agb-code-space-1")).session
    started = time.monotonic()
    assert session.delete().success
    # A release that is not done when it answers costs the SDK a second.
    assert time.monotonic() - started < 1.0


def test_after_delete_everything_says_not_found(agb_client: Any, params: Any) -> None:
    session = agb_client.create(params(image_id="agb-code-space-1")).session
    assert session.delete().success
    for result in (
        agb_client.get(session.session_id),
        session.info(),
        session.get_status(),
        session.keep_alive(),
        session.set_labels({"a": "b"}),
        session.command.execute("true"),
        session.code.run("1", "python"),
        session.file.read("/tmp/x"),
        session.delete(),
    ):
        assert not result.success
        assert "not found" in result.error_message.lower()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("no-such-image", "Image [no-such-image] is not found"),
        ("agb-browser-use-1", "not available on the local backend"),
        ("agb-computer-use-ubuntu-2204", "AGB_API_KEY"),
    ],
)
def test_an_image_that_is_not_here_is_refused(agb_client: Any, params: Any, image: str, words: str) -> None:
    result = agb_client.create(params(image_id=image))
    assert not result.success
    assert words in result.error_message
    assert "agb-code-space-1" in result.error_message


def test_sixteen_threads_may_share_a_session(sdk_session: Any) -> None:
    def calls(thread: int) -> list[bool]:
        good = []
        for n in range(5):
            path = f"{thread}-{n}.txt"  # /tmp is the machine's for a shell that is not isolated
            good.append(sdk_session.file.write(path, path).success)
            good.append(sdk_session.file.read(path).content == path)
            good.append(sdk_session.command.execute(f"cat {path}", timeout_ms=20_000).stdout == path)
            good.append(sdk_session.code.run(f"open({path!r}).read()", "python").result == path.__repr__())
        return good

    with ThreadPoolExecutor(16) as pool:
        assert all(all(good) for good in pool.map(calls, range(16)))
