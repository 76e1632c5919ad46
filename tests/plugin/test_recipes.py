"""What the documentation gives to copy does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_agb.environment import ci_run

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
    assert len(recipes()) == 2
    assert (ROOT / "docs" / "clean-up.md").read_text().count("pytest-agb sweep --this-ci-run\n") == 2


def test_the_hooks_that_readme_gives(pytester: pytest.Pytester) -> None:
    (hooks,) = re.findall(r"```python\n# conftest.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    pytester.makeconftest(hooks)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(2))
        def test_it(agb_session, number):
            assert agb_session.command.execute_command("ls -A work").check().output.strip() == ""
            agb_session.command.execute_command("echo x > work/left").check()
        """
    )
    result = pytester.runpytest_subprocess("--agb-reuse=reset")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])
