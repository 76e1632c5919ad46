"""The TOML files of pytest 9 give our ini values with TOML's own types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_agb.plugin.options import resolve

pytestmark = pytest.mark.skipif(pytest.version_tuple < (9,), reason="an older pytest reads no such file")

NATIVE = {
    "agb_image": '["agb-code-space-1", "agb-code-space-2"]',
    "agb_labels": '["project=demo", "team=data"]',
    "agb_scope": '"module"',
    "agb_backend": '"local"',
    "agb_run_id": '"nightly"',
    "agb_idle_timeout": "61",
    "agb_max_sessions": "62",
    "agb_reuse": '"always"',
    "agb_sweep": "true",
    "agb_keep_failed": "false",
    "agb_max_uses": "63",
    "agb_max_idle": "64",
    "agb_wait_timeout": "65",
    "agb_max_lifetime": "66",
    "agb_renew": "true",
    "agb_local_isolation": '"any"',
    "agb_local_network": '"host"',
}

Write = Callable[[dict[str, str]], None]


@pytest.fixture(params=["pytest.toml", "pyproject.toml"])
def write(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Write:
    """Writes ini values, as TOML, into a file of that name."""
    table = {"pytest.toml": "[pytest]", "pyproject.toml": "[tool.pytest]"}[request.param]
    (pytester.path / "tox.ini").unlink()

    def write(values: dict[str, str]) -> None:
        lines = [table, *(f"{name} = {value}" for name, value in values.items())]
        Path(pytester.path / request.param).write_text("\n".join(lines) + "\n")

    return write


def test_all_of_them(pytester: pytest.Pytester, write: Write) -> None:
    write(NATIVE)

    settings = resolve(pytester.parseconfig())

    assert settings.images == ("agb-code-space-1", "agb-code-space-2")
    assert settings.labels == {"project": "demo", "team": "data"}
    assert (settings.scope, settings.backend, settings.reuse) == ("module", "local", "always")
    assert settings.run_id.startswith("nightly-")
    assert (settings.idle_timeout, settings.max_sessions, settings.max_uses) == (61, 62, 63)
    assert (settings.max_idle, settings.wait_timeout, settings.max_lifetime) == (64, 65, 66)
    assert (settings.sweep, settings.keep_failed, settings.renew) == (True, False, True)
    assert (settings.local_isolation, settings.local_network) == ("any", "host")


def test_strings_do_as_well(pytester: pytest.Pytester, write: Write) -> None:
    write({"agb_renew": '"true"', "agb_wait_timeout": '"65"', "agb_image": '"agb-code-space-2"'})

    settings = resolve(pytester.parseconfig())

    assert (settings.renew, settings.wait_timeout, settings.images) == (True, 65, ("agb-code-space-2",))


def test_the_command_line_and_an_override_win(pytester: pytest.Pytester, write: Write) -> None:
    write({"agb_renew": "true", "agb_scope": '"module"'})

    settings = resolve(pytester.parseconfig("-o", "agb_renew=false", "--agb-scope=class"))

    assert (settings.renew, settings.scope) == (False, "class")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("agb_renew", "2", "'2' is neither true nor false"),
        ("agb_wait_timeout", "1.5", "'1.5' is no number of seconds; give a whole one from 1 to 999999"),
        ("agb_wait_timeout", "true", "'True' is no number of seconds; give a whole one from 1 to 999999"),
        ("agb_wait_timeout", "[1, 2]", "[1, 2] can't be used; give one value: SECONDS"),
        ("agb_scope", '["module"]', "['module'] can't be used; give one value: "),
        ("agb_labels", '{ team = "data" }', "{'team': 'data'} can't be used; give a list of them: KEY=VALUE"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_usage_error_that_names_it(
    pytester: pytest.Pytester, write: Write, name: str, value: str, message: str
) -> None:
    write({name: value})

    with pytest.raises(pytest.UsageError) as caught:
        resolve(pytester.parseconfig())

    assert str(caught.value).startswith(f"ini value {name}: {message}")
