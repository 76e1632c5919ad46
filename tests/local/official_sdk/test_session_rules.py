"""Lifetimes, quota and throttling as the service has them, by the official SDK on servers so told."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.deadline import eventually
from support.local_server import IMAGE, Api, Server, command, environment, serving

from pytest_agb import AGB, CreateSessionParams, QuotaError
from pytest_agb.local.api.throttle import Throttle
from pytest_agb.local.server import ServerConfig
from pytest_agb.secret import Secret

ClientOf = Callable[[Server], Any]


@pytest.fixture
def params(sdk: Any) -> Any:
    from agb.session_params import CreateSessionParams

    return CreateSessionParams(image_id=IMAGE)


def is_gone(session: Any) -> bool:
    status = session.get_status()
    return status.code == "InvalidMcpSession.NotFound" and "not found" in status.error_message.lower()


def test_the_defaults_are_the_services(tmp_path: Any) -> None:
    rules = ServerConfig(api_key=Secret("k"), isolation="none", data_directory=tmp_path).rules
    assert (rules.default_idle_seconds, rules.maximum_lifetime_seconds) == (300, 1800)
    assert (rules.maximum_sessions, rules.release_seconds) == (None, 0)


def test_all_images_are_taken_on_request_and_their_tools_are_still_not_there(
    sdk: Any, sdk_client: ClientOf
) -> None:
    from agb.session_params import CreateSessionParams

    with serving("--isolation", "any", "--all-images") as server:
        agb = sdk_client(server)
        session = agb.create(CreateSessionParams(image_id="agb-browser-use-1")).session
        assert session.code.run("print(1)", "python").success
        assert session.list_mcp_tools("agb-browser-use-1").success
        opened = session.call_mcp_tool("page_use_navigate", {"url": "https://example.org"})
        assert not opened.success
        assert "not available on the local backend" in opened.error_message
        unknown = agb.create(CreateSessionParams(image_id="agb-nonsense-1"))
        assert not unknown.success
        assert "agb-nonsense-1" in unknown.error_message


def test_an_idle_session_is_released_and_one_kept_alive_is_not(sdk_client: ClientOf, params: Any) -> None:
    with serving("--isolation", "any", "--idle-timeout", "1.5") as server:
        agb = sdk_client(server)
        idle, kept = agb.create(params).session, agb.create(params).session
        # Looking at its status is no use of a session, keep_alive is.
        eventually(lambda: kept.keep_alive().success and is_gone(idle), "the idle session is released")
        assert kept.get_status().status == "RUNNING"
        assert agb.list().session_ids == [kept.session_id]
        assert not agb.get(idle.session_id).success
        eventually(lambda: is_gone(kept), "the other goes too when nothing keeps it alive")


def test_the_creators_idle_timeout_wins(sdk: Any, sdk_client: ClientOf) -> None:
    from agb.session_params import CreateSessionParams

    with serving("--isolation", "any", "--idle-timeout", "900") as server:
        agb = sdk_client(server)
        session = agb.create(CreateSessionParams(image_id=IMAGE, idle_release_timeout=1)).session
        eventually(lambda: is_gone(session), "released after its own idle timeout")


def test_no_session_outlives_its_maximum_lifetime(sdk_client: ClientOf, params: Any) -> None:
    with serving("--isolation", "any", "--max-lifetime", "1.5") as server:
        session = sdk_client(server).create(params).session
        assert session.get_status().status == "RUNNING"
        eventually(lambda: not session.keep_alive().success, "kept alive, it is released all the same")
        assert is_gone(session)


def test_a_release_may_take_its_time(sdk_client: ClientOf, params: Any) -> None:
    with serving("--isolation", "any", "--release-delay", "1.5") as server:
        agb, api = sdk_client(server), Api(server)
        with api.http:
            session = agb.create(params).session
            assert api.post("/mcp/releaseSessionAsync", {"sessionId": session.session_id})["success"]
            assert session.get_status().status == "DELETING"
            assert agb.list().session_ids == []
            assert not session.command.execute("true").success
            assert not agb.get(session.session_id).success
            eventually(lambda: is_gone(session), "the release is over")
        # The SDK's own delete waits for it.
        other = agb.create(params).session
        started = time.monotonic()
        assert other.delete().success
        assert time.monotonic() - started >= 1.0
        assert is_gone(other)


def test_a_server_that_ends_does_not_wait_for_slow_releases(sdk_client: ClientOf, params: Any) -> None:
    with serving("--isolation", "any", "--release-delay", "300") as server:
        api = Api(server)
        session = sdk_client(server).create(params).session
        with api.http:
            assert api.post("/mcp/releaseSessionAsync", {"sessionId": session.session_id})["success"]
        server.process.terminate()
        assert server.process.wait(10) == 0


def test_a_session_beyond_the_quota_is_refused(sdk_client: ClientOf, params: Any) -> None:
    with serving("--isolation", "any", "--max-sessions", "2") as server:
        agb = sdk_client(server)
        with ThreadPoolExecutor(8) as pool:  # however many ask at once
            created = list(pool.map(lambda _: agb.create(params), range(8)))
        good = [result for result in created if result.success]
        assert len(good) == 2
        refused = next(result for result in created if not result.success)
        assert refused.error_message == "The quota of 2 sessions is exceeded"
        assert refused.session is None
        assert good[0].session.delete().success
        assert agb.create(params).success

        ours = AGB(server.api_key, server.endpoint).create(CreateSessionParams(IMAGE))
        assert isinstance(ours.error, QuotaError)


def test_requests_beyond_the_rate_are_refused_and_may_come_again(sdk_client: ClientOf) -> None:
    with serving("--isolation", "any", "--rate", "5") as server:
        agb, api = sdk_client(server), Api(server)
        with api.http, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: api.http.get("/sdk/ListSession"), range(40)))
            refused = [answer for answer in answers if answer.status_code != 200]
            assert refused
            for answer in refused:
                assert (answer.status_code, answer.json()["code"]) == (429, "Throttling.User")
                assert answer.headers["retry-after"] == "1"
                assert "data" not in answer.json()
            listed = agb.list()
            assert listed.success or "Too many requests" in listed.error_message
        assert AGB(server.api_key, server.endpoint).list().success  # ours waits as it is told, and asks again


def test_a_throttle_lets_a_seconds_worth_through_at_once_and_then_its_rate() -> None:
    now = [0.0]
    throttle = Throttle(4, clock=lambda: now[0])
    assert [throttle.wait_seconds() for _ in range(6)] == [0, 0, 0, 0, 0.25, 0.25]
    now[0] = 0.25
    assert [throttle.wait_seconds() for _ in range(2)] == [0, 0.25]
    now[0] = 100
    assert [throttle.wait_seconds() for _ in range(5)] == [0, 0, 0, 0, 0.25]


def test_pages_neither_skip_nor_repeat_while_sessions_go(sdk_client: ClientOf, params: Any) -> None:
    with serving("--isolation", "any") as server:
        agb, api = sdk_client(server), Api(server)
        sessions = [agb.create(params).session for _ in range(5)]
        identifiers = [session.session_id for session in sessions]
        first = agb.list(limit=2)
        assert first.session_ids == identifiers[:2]
        assert not first.next_token.isdigit()  # nothing to count with
        assert sessions[0].delete().success
        with api.http:
            query = {"maxResults": "2", "nextToken": first.next_token}
            second = api.http.get("/sdk/ListSession", params=query).json()
        assert [item["sessionId"] for item in second["data"]] == identifiers[2:4]
        assert second["count"] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--idle-timeout", "0"), "number of seconds above 0"),
        (("--max-lifetime", "30m"), "number of seconds above 0"),
        (("--release-delay", "nan"), "number of seconds above 0"),
        (("--max-sessions", "0"), "a whole number from 1"),
        (("--rate", "-1"), "a whole number from 1"),
    ],
)
def test_a_bad_rule_is_refused_by_name(arguments: tuple[str, str], words: str) -> None:
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert words in done.stderr
