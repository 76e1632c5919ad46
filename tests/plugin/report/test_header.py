"""Header, help, markers and fixtures explain themselves."""

from __future__ import annotations

import re
import sys

import pytest
from support.local_server import FORBIDDEN, can_forbid_namespaces

from pytest_agb.plugin.options import OPTIONS


def test_the_header_says_what_is_in_force(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(
        "--agb-run-id=nightly", "--agb-scope=module", "--agb-image=agb-code-space-2"
    )

    line = next(line for line in result.outlines if line.startswith("agb: "))
    assert re.fullmatch(
        r"agb: local sandboxes, image agb-code-space-2, scope module, run nightly-[0-9a-f]{8}", line
    ), line


def test_the_header_names_the_cloud_and_not_the_key(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", "ako-do-not-show")

    result = pytester.runpytest_subprocess("-vv")

    result.stdout.fnmatch_lines(["agb: cloud https://sdk-api.agb.cloud, *"])
    assert "ako-do-not-show" not in result.stdout.str() + result.stderr.str()


def test_an_empty_key_counts_as_not_set(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", "")

    pytester.runpytest_subprocess().stdout.fnmatch_lines(["agb: local sandboxes, *"])


def test_a_key_in_dotenv_counts(pytester: pytest.Pytester) -> None:
    (pytester.path / ".env").write_text('AGB_API_KEY="ako-1" # mine\nAGB_ENDPOINT=127.0.0.1:1\n')

    pytester.runpytest_subprocess().stdout.fnmatch_lines(["agb: cloud https://127.0.0.1:1, *"])


def test_the_header_names_the_ci_run_and_a_dotenv_that_is_not_read(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / ".env").write_text("AGB_API_KEY=ako-1\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    monkeypatch.chdir(pytester.mkdir("below"))

    result = pytester.run(sys.executable, "-m", "pytest")

    result.stdout.fnmatch_lines(
        [
            "agb: local sandboxes, *, CI run github-7-1",
            f"agb: {pytester.path}/.env is not read, only a .env in the working directory is",
        ]
    )


def test_a_dotenv_that_diverts_the_key_is_a_usage_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.path / ".env").write_text("AGB_ENDPOINT=https://stranger.invalid\n")
    monkeypatch.setenv("AGB_API_KEY", "ako-do-not-show")

    result = pytester.run(sys.executable, "-m", "pytest")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: the API key comes from the environment, and AGB_ENDPOINT from .env in the *"]
    )
    assert "ako-do-not-show" not in result.stdout.str() + result.stderr.str()


def test_without_isolation_the_header_says_so(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--agb-local-isolation=none")

    result.stdout.fnmatch_lines(["agb: NOT ISOLATED: commands see this machine"])


def test_with_isolation_it_says_nothing_of_the_kind(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--agb-local-isolation=auto")

    result.stdout.no_fnmatch_line("*NOT ISOLATED*")


@pytest.mark.skipif(not can_forbid_namespaces(), reason="no namespaces on this machine to be forbidden")
@pytest.mark.parametrize("ini", ["", "agb_local_isolation = landlock"])
def test_under_landlock_the_header_says_what_is_held_and_what_is_not(
    pytester: pytest.Pytester, ini: str
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = pytester.run(*(() if ini else FORBIDDEN), sys.executable, "-m", "pytest")

    result.stdout.fnmatch_lines(["agb: Landlock: own files only, no network*; but */tmp is not private, *"])


def test_help_has_a_group_with_every_option_and_its_ini_twin(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")

    text = result.stdout.str()
    assert "AGB sandbox sessions (pytest-agb):" in text
    for option in OPTIONS:
        if not option.ini_only:
            assert f"{option.flag}{'' if option.switch else '='}" in text
        assert re.search(rf"^  {option.ini}\b", text, re.MULTILINE), option.ini


def test_markers_explains_ours(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--markers")

    result.stdout.fnmatch_lines(
        ["@pytest.mark.agb(image=None, labels=None, idle_timeout=None, policy_id=None): *"]
    )


def test_fixtures_explains_ours(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest_subprocess("--fixtures").stdout.str()

    for name in ("agb", "agb_image", "agb_session", "agb_session_factory", "agb_session_params"):
        assert re.search(rf"^{name}\b.*\n    \S", text, re.MULTILINE), name


def test_two_runs_with_one_prefix_have_two_run_ids(pytester: pytest.Pytester) -> None:
    ids = {
        re.search(
            r"run (ci-[0-9a-f]{8})$", pytester.runpytest_subprocess("--agb-run-id=ci").stdout.str(), re.M
        )
        for _ in range(2)
    }
    assert None not in ids
    assert len({match.group(1) for match in ids if match}) == 2
