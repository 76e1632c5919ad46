"""Options and ini values: declared in one table, resolved in one place."""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest

from pytest_agb import labels as label_rules
from pytest_agb.ci import ci_run
from pytest_agb.environment import EnvironmentValueError, read_account
from pytest_agb.settings import CLOUD, LOCAL, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCOPES = ("function", "class", "module", "package", "session")
BACKENDS = ("auto", CLOUD, LOCAL)
ISOLATIONS = ("auto", "any", "namespaces", "none")
DEFAULT_IMAGE = "agb-code-space-1"
#: The keeper keeps what is in use alive, so that this is how long an orphan without a keeper lives.
DEFAULT_IDLE_TIMEOUT_SECONDS = 120


class _Option(NamedTuple):
    """An option ``--agb-word`` and its ini twin ``agb_word``."""

    word: str
    metavar: str
    help: str
    repeatable: bool = False

    @property
    def flag(self) -> str:
        return f"--agb-{self.word}"

    @property
    def ini(self) -> str:
        return "agb_" + self.word.replace("-", "_")


_OPTIONS = (
    _Option(
        "image",
        "IMAGE",
        f"image that sessions boot from (default: {DEFAULT_IMAGE}); given several times, every test that "
        "uses a session runs once with each",
        repeatable=True,
    ),
    _Option(
        "labels",
        "KEY=VALUE[,KEY=VALUE...]",
        "labels for every session; may be repeated, and is merged over the ini value",
        repeatable=True,
    ),
    _Option("scope", "|".join(SCOPES), "scope of agb_session and agb_session_factory (default: function)"),
    _Option(
        "backend",
        "|".join(BACKENDS),
        "where sessions live; auto (default) takes the cloud where AGB_API_KEY is set, else local sandboxes",
    ),
    _Option(
        "run-id",
        "PREFIX",
        "start of the run ID that every session is labelled with; 8 random hex digits are added",
    ),
    _Option(
        "idle-timeout",
        "SECONDS",
        "seconds without a call after which the service releases a session by itself "
        f"(default: {DEFAULT_IDLE_TIMEOUT_SECONDS})",
    ),
    _Option(
        "local-isolation",
        "|".join(ISOLATIONS),
        "how local sandboxes are isolated: auto (default) uses namespaces or refuses, "
        "any runs without isolation rather than refuse, none asks for that",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin."""
    group = parser.getgroup("agb", "AGB sandbox sessions (pytest-agb)")
    for option in _OPTIONS:
        group.addoption(
            option.flag,
            action="append" if option.repeatable else "store",
            default=None,
            metavar=option.metavar,
            help=f"{option.help} [ini: {option.ini}]",
        )
        parser.addini(
            option.ini, f"{option.help} [twin of {option.flag}]", type=_ini_type(option), default=None
        )


def _ini_type(option: _Option) -> Literal["linelist"] | None:
    return "linelist" if option.repeatable else None


class _Value(NamedTuple):
    """What was asked for, and where: errors name the source."""

    text: str
    source: str


class _Sources:
    """The command line over the ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._options = {option.word: option for option in _OPTIONS}

    def command_line(self, word: str) -> list[_Value]:
        option = self._options[word]
        given = self._config.getoption(option.flag)
        texts = given if isinstance(given, list) else [] if given is None else [given]
        return [_Value(text, option.flag) for text in texts]

    def ini(self, word: str) -> list[_Value]:
        option = self._options[word]
        try:
            given = self._config.getini(option.ini)
        except (TypeError, ValueError) as error:  # before pytest 9.1 a value of the wrong type ends like this
            raise pytest.UsageError(f"ini value {option.ini}: {error}") from error
        texts = given if isinstance(given, list) else [] if given is None else [given]
        return [_Value(str(text).strip(), f"ini value {option.ini}") for text in texts]

    def all(self, word: str) -> list[_Value]:
        """The command line's values or, where it gives none, the ini file's."""
        return self.command_line(word) or self.ini(word)

    def one(self, word: str, default: str) -> _Value:
        return (self.all(word) or [_Value(default, "default")])[-1]


def resolve(config: pytest.Config, environ: Mapping[str, str] | None = None) -> Settings:
    """Resolve the settings of a run from command line, ini file and environment, once.

    Raises:
        pytest.UsageError: an option, an ini value or a variable can't be used; the message says which.
    """
    environ = os.environ if environ is None else environ
    sources = _Sources(config)
    try:
        account = read_account(environ)
    except EnvironmentValueError as error:
        raise pytest.UsageError(str(error)) from error
    backend = _choice(sources.one("backend", "auto"), BACKENDS)
    if backend == "auto":
        backend = CLOUD if account.api_key else LOCAL
    return Settings(
        backend=backend,
        run_id=_run_id(sources.one("run-id", "run")),
        images=_images(sources.all("image")),
        labels={**_labels(sources.ini("labels")), **_labels(sources.command_line("labels"))},
        scope=_choice(sources.one("scope", "function"), SCOPES),
        idle_timeout=_seconds(sources.one("idle-timeout", str(DEFAULT_IDLE_TIMEOUT_SECONDS))),
        local_isolation=_choice(sources.one("local-isolation", "auto"), ISOLATIONS),
        endpoint=account.endpoint if backend == CLOUD else "",
        timeout_seconds=account.timeout_seconds,
        api_key=account.api_key if backend == CLOUD else secrets.token_urlsafe(32),
        ci_run=ci_run(environ),
    )


def _choice(value: _Value, choices: Iterable[str]) -> str:
    if value.text not in choices:
        raise pytest.UsageError(f"{value.source}: {value.text!r} is none of {', '.join(choices)}")
    return value.text


def _run_id(value: _Value) -> str:
    # The random end keeps two runs apart whatever the prefix.
    if not re.fullmatch(r"[a-z0-9-]{1,40}", value.text):
        raise pytest.UsageError(
            f"{value.source}: {value.text!r} can't start a run ID; use up to 40 of a-z, 0-9 and '-'"
        )
    return f"{value.text}-{secrets.token_hex(4)}"


def _images(values: list[_Value]) -> tuple[str, ...]:
    for value in values:
        if not value.text.strip():
            raise pytest.UsageError(f"{value.source}: an image ID is empty; give one such as {DEFAULT_IMAGE}")
    images = tuple(dict.fromkeys(value.text.strip() for value in values))
    return images or (DEFAULT_IMAGE,)


def _seconds(value: _Value) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", value.text):
        raise pytest.UsageError(
            f"{value.source}: {value.text!r} is no idle timeout; give whole seconds, "
            f"for example {DEFAULT_IDLE_TIMEOUT_SECONDS}"
        )
    return int(value.text)


def _labels(values: list[_Value]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for value in values:
        for pair in value.text.split(","):
            key, equals, text = (part.strip() for part in pair.partition("="))
            if not equals:
                raise pytest.UsageError(
                    f"{value.source}: no '=' in {pair.strip()!r}; write key=value, a comma between labels"
                )
            if key in labels:
                raise pytest.UsageError(f"{value.source}: label {key!r} is given twice")
            labels[key] = text
            reason = label_rules.invalid({key: text}) or label_rules.refused({key: text}, on_ours=True)
            if reason:
                raise pytest.UsageError(f"{value.source}: {reason}")
    return labels
