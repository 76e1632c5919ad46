"""A marker says what kind of session the tests of a class get; each test still has its own."""

from __future__ import annotations

import pytest

from pytest_agb import Session


@pytest.mark.agb(image="agb-code-space-2", labels={"team": "data"})
class TestDataTeam:
    def test_the_marker_names_the_image(self, agb_session: Session) -> None:
        assert agb_session.image_id == "agb-code-space-2"

    @pytest.mark.agb(labels={"stage": "nightly"})
    def test_labels_of_both_markers_are_there(self, agb_session: Session) -> None:
        labels = agb_session.get_labels().check().data

        assert labels["team"] == "data"
        assert labels["stage"] == "nightly"

    @pytest.mark.parametrize("attempt", [1, 2])
    def test_each_test_starts_clean(self, agb_session: Session, attempt: int) -> None:
        assert agb_session.file_system.list_directory(".").check().entries == []
        agb_session.file_system.write_file(f"attempt-{attempt}.txt", "was here").check()
