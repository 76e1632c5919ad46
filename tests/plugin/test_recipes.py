"""The commands that the documentation gives for CI systems name what the sessions are labelled with there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_agb.ci import ci_run

ROOT = Path(__file__).parents[2]
GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "123", "GITHUB_RUN_ATTEMPT": "2"}
GITLAB = {"GITLAB_CI": "true", "CI_PIPELINE_ID": "456"}


def recipes() -> list[str]:
    pages = [ROOT / "README.md", ROOT / "docs" / "clean-up.md"]
    return [found for page in pages for found in re.findall(r'--ci-run "([^"]+)"', page.read_text())]


@pytest.mark.parametrize("recipe", recipes())
def test_a_recipe_names_the_ci_run(recipe: str) -> None:
    environ = GITHUB if recipe.startswith("github") else GITLAB
    name = recipe.replace("${{ github.run_id }}", "123").replace("${{ github.run_attempt }}", "2")
    name = re.sub(r"\$(\w+)", lambda found: environ[found[1]], name)

    assert name == ci_run(environ)


def test_there_are_recipes() -> None:
    assert len(recipes()) == 3
