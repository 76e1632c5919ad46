"""One session for all tests of a file, prepared once. For a whole suite, --agb-scope=module does the same."""

from __future__ import annotations

import pytest

from pytest_agb import AGB, CreateSessionParams, Session


@pytest.fixture(scope="module")
def project(agb: AGB, agb_image: str) -> Session:
    session = (
        agb.create(CreateSessionParams(image_id=agb_image, labels={"purpose": "shared"})).check().session
    )
    session.command.execute_command("mkdir project && echo 'answer = 42' > project/settings.py").check()
    return session  # `agb` deletes it at the end of the run


def test_the_project_is_there(project: Session) -> None:
    assert "settings.py" in project.command.execute_command("ls project").check().stdout


def test_the_project_can_be_imported(project: Session) -> None:
    result = project.command.execute_command(
        "python3 -c 'import settings; print(settings.answer)'", cwd="project"
    )

    assert result.check().stdout == "42\n"
