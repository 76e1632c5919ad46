"""Two sessions in one test, each from an image of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb import SessionFactory


def test_what_one_session_writes_another_reads(agb_session_factory: SessionFactory) -> None:
    writer = agb_session_factory(image="agb-code-space-1", labels={"role": "writer"})
    reader = agb_session_factory(image="agb-code-space-2", labels={"role": "reader"})

    writer.command.execute_command("seq 3 > numbers.txt").check()
    numbers = writer.file_system.read_file("numbers.txt").check().content
    reader.file_system.write_file("copy.txt", numbers).check()

    assert reader.command.execute_command("wc -l < copy.txt").output.strip() == "3"
    assert not reader.file_system.get_file_info("numbers.txt").success


def test_labels_tell_sessions_apart(agb_session_factory: SessionFactory) -> None:
    session = agb_session_factory(labels={"role": "analyst"})

    assert session.get_labels().data["role"] == "analyst"
