"""Every option and ini value that can't be used is a usage error that names it and the remedy."""

from __future__ import annotations

import pytest
from support.odd_numbers import ODD_NUMBERS, name

from pytest_agb import parse_number
from pytest_agb.plugin.options import resolve

BAD = [
    ("labels", "project", "*no '=' in 'project'*key=value*"),
    ("labels", "=demo", "*a label key is empty*'demo'*"),
    ("labels", "project=", "*value of label 'project' is empty*"),
    ("labels", "a=1,,b=2", "*no '=' in ''*"),
    ("labels", "agb_run=mine", "*'agb_run' is reserved*"),
    ("labels", "created_by=me", "*'created_by' is reserved*"),
    ("labels", "a=1,a=2", "*label 'a' is given twice*"),
    ("scope", "test", "*'test' is none of function, class, module, package, session*"),
    ("backend", "clod", "*'clod' is none of auto, cloud, local*"),
    ("local-isolation", "chroot", "*'chroot' is none of auto, any, namespaces, landlock, none*"),
    ("local-network", "bridge", "*'bridge' is none of none, host*"),
    ("idle-timeout", "5m", "*'5m' is no number of seconds*a whole one*"),
    ("idle-timeout", "0", "*'0' is no number of seconds*"),
    ("run-id", "Nightly Build", "*'Nightly Build' can't start a run ID*a-z*"),
    ("image", " ", "*an image ID is empty*"),
    ("image", "one, two", "*'one, two' holds a comma*give it twice: --agb-image=one --agb-image=two *"),
]


@pytest.mark.parametrize(("word", "text", "message"), BAD)
def test_on_the_command_line(pytester: pytest.Pytester, word: str, text: str, message: str) -> None:
    pytester.makepyfile("def test_it(): raise AssertionError('collected although an option is wrong')")

    result = pytester.runpytest_inprocess(f"--agb-{word}={text}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --agb-{word}: {message}"])


@pytest.mark.parametrize(("word", "text", "message"), [bad for bad in BAD if bad[1].strip()])
def test_in_an_ini_file(pytester: pytest.Pytester, word: str, text: str, message: str) -> None:
    name = "agb_" + word.replace("-", "_")
    pytester.makeini(f"[pytest]\n{name} = {text}\n")

    result = pytester.runpytest_inprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: ini value {name}: {message}"])


def test_under_xdist_it_is_the_controller_that_refuses(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")

    result = pytester.runpytest_subprocess("-n2", "--agb-scope=test")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --agb-scope: 'test' is none of *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AGB_TIMEOUT_MS", "soon", "ERROR: AGB_TIMEOUT_MS: 'soon' is not a number of milliseconds*"),
        (
            "AGB_TIMEOUT_MS",
            "\u00b2",
            "ERROR: AGB_TIMEOUT_MS: '\u00b2' is not a number of milliseconds*60000*",
        ),
        ("AGB_TIMEOUT_MS", "9" * 400, "ERROR: AGB_TIMEOUT_MS: '999*...' is not a number of milliseconds*"),
        ("AGB_ENDPOINT", "ftp://example.org", "ERROR: AGB_ENDPOINT: 'ftp://example.org' is not a base URL*"),
    ],
)
def test_variables_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)

    result = pytester.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize("text", [*ODD_NUMBERS, "1.5", "0", "1000000"], ids=name)
def test_neither_command_line_nor_ini_file_takes_an_odd_number(pytester: pytest.Pytester, text: str) -> None:
    says = f"{parse_number.shown(text)} is no number of seconds; give a whole one from 1 to 999999"

    with pytest.raises(pytest.UsageError) as caught:
        resolve(pytester.parseconfig(f"--agb-idle-timeout={text}"))
    assert str(caught.value) == f"--agb-idle-timeout: {says}"

    pytester.makeini(f"[pytest]\nagb_wait_timeout = {text}\n")
    with pytest.raises(pytest.UsageError) as caught:
        resolve(pytester.parseconfig())
    assert str(caught.value) == f"ini value agb_wait_timeout: {says}"


@pytest.mark.parametrize("text", ["60", " 60 ", "060"], ids=name)
def test_a_plain_number_is_taken_from_each_source(pytester: pytest.Pytester, text: str) -> None:
    pytester.makeini(f"[pytest]\nagb_wait_timeout = {text}\n")

    settings = resolve(pytester.parseconfig(f"--agb-idle-timeout={text}"), {"AGB_TIMEOUT_MS": text})

    assert (settings.idle_timeout, settings.wait_timeout, settings.timeout_seconds) == (60, 60, 0.06)


@pytest.mark.parametrize("text", [*ODD_NUMBERS, "1.5", "0", str(2**31)], ids=name)
def test_the_timeout_variable_takes_no_odd_number(pytester: pytest.Pytester, text: str) -> None:
    with pytest.raises(pytest.UsageError) as caught:
        resolve(pytester.parseconfig(), {"AGB_TIMEOUT_MS": text})

    assert str(caught.value) == (
        f"AGB_TIMEOUT_MS: {parse_number.shown(text)} is not a number of milliseconds; "
        "give a whole number such as 60000, at most 2147483647"
    )


def test_a_password_in_the_endpoint_is_not_repeated(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_ENDPOINT", "https://me:hunter2@example.org")

    result = pytester.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "hunter2" not in result.stderr.str() + result.stdout.str()
