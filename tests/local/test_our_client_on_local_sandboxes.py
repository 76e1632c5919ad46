"""Our client on real sandboxes: what the guide promises works, and bad input gets a clear error.

These tests use the plugin's own fixtures, so they also show it at work.
"""

from __future__ import annotations

import os

import httpx
import pytest

from pytest_agb import AGB, AGBError, CreateSessionParams, NotFoundError, Session

SNOWMEN = "☃" * 60_000  # 180,000 bytes: chunk borders fall inside characters


class TestTheGuide:
    def test_labels(self, agb_session: Session) -> None:
        assert agb_session.get_labels().check().data == {}
        agb_session.set_labels({"project": "demo", "名": "测试"}).check()
        assert agb_session.get_labels().check().data == {"project": "demo", "名": "测试"}
        agb_session.set_labels({"project": "other"}).check()
        assert agb_session.get_labels().check().data == {"project": "other"}

    def test_information(self, agb_session: Session) -> None:
        info = agb_session.info().check().data
        assert info["session_id"] == agb_session.session_id
        assert info["resource_url"]
        assert agb_session.get_status().check().status == "RUNNING"
        agb_session.keep_alive().check()

    def test_a_page_to_look_at(self, agb_session: Session) -> None:
        agb_session.command.execute("echo something to see").check()
        with httpx.Client(trust_env=False, follow_redirects=True) as browser:
            asked = browser.get(agb_session.resource_url)
            assert "something to see" not in asked.text
            page = browser.post(agb_session.resource_url, data={"token": agb_session.get_token()})
        assert "something to see" in page.text

    def test_listing_with_filter_and_pages(self, agb: AGB, agb_image: str) -> None:
        labels = {"listing": os.urandom(4).hex()}
        created = {
            agb.create(CreateSessionParams(agb_image, labels=labels)).check().session.session_id
            for _ in range(5)
        }
        first, second, third = (agb.list(labels=labels, page=page, limit=2).check() for page in (1, 2, 3))
        assert [len(page.session_ids) for page in (first, second, third)] == [2, 2, 1]
        assert {*first.session_ids, *second.session_ids, *third.session_ids} == created
        assert first.total_count == 5
        assert set(agb.iter_session_ids(labels=labels, limit=2)) == created
        past_the_end = agb.list(labels=labels, page=4, limit=2).check()
        assert past_the_end.session_ids == []
        assert past_the_end.next_token is None

    def test_recovery_by_id(self, agb: AGB, agb_session: Session) -> None:
        agb_session.file_system.write_file("here.txt", "still").check()
        recovered = agb.get(agb_session.session_id).check().session
        assert recovered
        assert recovered.file_system.read_file("here.txt").check().content == "still"

    def test_tools(self, agb_session: Session) -> None:
        names = {tool.name for tool in agb_session.list_mcp_tools().check().tools}
        assert {"shell", "run_code", "read_file"} <= names
        called = agb_session.call_mcp_tool("shell", {"command": "echo hi", "timeout_ms": 1000}).check()
        assert "hi" in str(called.data)

    def test_a_session_is_a_context_manager(self, agb: AGB, agb_image: str) -> None:
        with agb.create(CreateSessionParams(agb_image)).check().session as session:
            session.command.execute_command("true").check()
        assert not agb.get(session.session_id).success

    def test_both_names_of_each_call(self, agb_session: Session) -> None:
        assert agb_session.file is agb_session.file_system
        assert (
            agb_session.code.run("1 + 1", "python").result
            == agb_session.code.run_code("1 + 1", "python").result
        )
        assert (
            agb_session.command.execute("echo a").stdout
            == agb_session.command.execute_command("echo a").stdout
        )


class TestFiles:
    def test_text_with_characters_across_chunk_borders(self, agb_session: Session) -> None:
        agb_session.file_system.write_file("snow.txt", SNOWMEN).check()
        assert agb_session.file_system.read_file("snow.txt").check().content == SNOWMEN

    def test_bytes(self, agb_session: Session) -> None:
        agb_session.command.execute_command("printf '\\000\\377\\n' > raw.bin").check()
        assert agb_session.file_system.read_file("raw.bin", format="bytes").check().content == b"\x00\xff\n"

    def test_every_tool(self, agb_session: Session) -> None:
        files = agb_session.file_system
        files.create_directory("a/b").check()
        files.write_file("a/one.txt", "one\n").check()
        files.write_file("a/one.txt", "more\n", mode="append").check()
        files.write_file("a/b/two.txt", "two").check()
        files.move_file("a/one.txt", "a/uno.txt").check()
        assert sorted(entry["name"] for entry in files.list_directory("a").check().entries) == [
            "b",
            "uno.txt",
        ]
        assert files.get_file_info("a/uno.txt").check().file_info["size"] == 9
        (match,) = files.search_files("a", "*.txt", exclude_patterns=["uno*"]).check().matches
        assert match.endswith("a/b/two.txt")
        files.edit_file("a/uno.txt", [{"oldText": "more", "newText": "less"}]).check()
        contents = files.read_multiple_files(["a/uno.txt", "a/b/two.txt"]).check().contents
        assert list(contents.values()) == ["one\nless\n", "two"]
        files.delete_file("a/uno.txt").check()
        assert not files.get_file_info("a/uno.txt").success

    @pytest.mark.slow
    def test_50_mb_each_way(self, agb_session: Session) -> None:
        text = "0123456789abcde\n" * (50 * 1024 * 1024 // 16)
        agb_session.file_system.write_file("big.txt", text).check()
        assert agb_session.command.execute_command("wc -c < big.txt").stdout.strip() == str(len(text))
        assert agb_session.file_system.read_file("big.txt").check().content == text


class TestBadInput:
    def test_a_file_that_does_not_exist(self, agb_session: Session) -> None:
        result = agb_session.file_system.read_file("missing.txt")
        assert not result.success
        assert "missing.txt" in result.error_message
        assert "not found" in result.error_message

    @pytest.mark.parametrize("path", ["../../etc/shadow", "/etc/shadow", "link"])
    def test_a_path_that_leads_out(self, agb_session: Session, path: str) -> None:
        agb_session.command.execute_command("ln -s ../../../../../../../../etc/shadow link").check()
        result = agb_session.file_system.read_file(path)
        assert not result.success
        assert path in result.error_message
        assert not result.content

    def test_code_that_never_ends_keeps_the_session_and_its_variables(self, agb_session: Session) -> None:
        agb_session.code.run_code("kept = 1", "python").check()
        result = agb_session.code.run_code("while True: pass", "python", timeout_s=1)
        assert not result.success
        assert "1 s" in result.error_message or "timed out" in result.error_message.lower()
        assert agb_session.code.run_code("kept", "python").check().result == "1"

    def test_code_that_prints_100_mb(self, agb_session: Session) -> None:
        result = agb_session.code.run_code("for _ in range(100): print('x' * 1024 * 1024)", "python")
        printed = "".join(result.check().logs.stdout)
        assert 1024 * 1024 < len(printed) < 20 * 1024 * 1024
        assert "truncated" in printed[-500:]

    def test_code_that_kills_its_interpreter_costs_the_variables_only(self, agb_session: Session) -> None:
        agb_session.file_system.write_file("kept.txt", "kept").check()
        result = agb_session.code.run_code("import os; os._exit(7)", "python")
        assert not result.success
        assert "7" in result.error_message
        assert agb_session.code.run_code("open('kept.txt').read()", "python").check().result == "'kept'"

    def test_a_command_that_leaves_a_daemon_behind(self, agb_session: Session) -> None:
        result = agb_session.command.execute_command("sleep 1000 & echo started", timeout_ms=5000)
        assert result.check().stdout == "started\n"

    def test_a_command_that_takes_too_long(self, agb_session: Session) -> None:
        result = agb_session.command.execute_command("sleep 1000", timeout_ms=300)
        assert not result.success
        assert "300 ms" in result.error_message

    def test_labels(self, agb: AGB, agb_session: Session, agb_image: str) -> None:
        bad: list[object] = [{"": "v"}, {"k": ""}, {"k": None}, {"k": 1}, {1: "v"}, {}, None, ["k"]]
        for labels in bad:
            result = agb_session.set_labels(labels)  # type: ignore[arg-type]
            assert not result.success, labels
            assert "label" in result.error_message
            if labels:  # none at all is how a create says "no labels"
                created = agb.create(CreateSessionParams(agb_image, labels=labels))  # type: ignore[arg-type]
                assert not created.success, labels
                assert "label" in created.error_message

    def test_a_reserved_label(self, agb_session: Session) -> None:
        with pytest.raises(AGBError, match="'agb_run' is reserved"):
            agb_session.set_labels({"agb_run": "mine"}).check()

    def test_use_after_delete(self, agb_session: Session) -> None:
        agb_session.delete().check()
        for result in (
            agb_session.code.run_code("1", "python"),
            agb_session.command.execute_command("true"),
            agb_session.file_system.read_file("x"),
            agb_session.info(),
            agb_session.set_labels({"a": "b"}),
        ):
            assert not result.success
            assert isinstance(result.error, NotFoundError), result
