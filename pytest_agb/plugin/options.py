"""Options and ini values: declared in one table, resolved in one place.

Every pytest run in the user's environment pays for this module: no data classes, named tuples or patterns,
which take longer to make than all the rest.
"""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pytest

from pytest_agb.environment import EnvironmentValueError, ci_run, read_account
from pytest_agb.settings import (
    BACKENDS,
    CLOUD,
    DEFAULT_IDLE_TIMEOUT_SECONDS,
    DEFAULT_IMAGE,
    DEFAULT_MAX_IDLE_SECONDS,
    DEFAULT_WAIT_TIMEOUT_SECONDS,
    LOCAL,
    LOCAL_ISOLATIONS,
    LOCAL_NETWORKS,
    MAX_LIFETIME_SECONDS,
    REUSES,
    SCOPES,
    Settings,
)

if TYPE_CHECKING:
    from typing import Literal

_SWITCH = {"true": True, "yes": True, "on": True, "1": True}
_SWITCH |= {"false": False, "no": False, "off": False, "0": False}
_TIMES = "agb/times"
_RUN_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class _Option:
    """An option ``--agb-word`` and its ini twin ``agb_word``."""

    def __init__(
        self,
        word: str,
        metavar: str,
        help: str,
        *,
        repeatable: bool = False,
        switch: bool = False,
        ini_only: bool = False,
    ) -> None:
        """``ini_only`` is for what a project decides once: it has no command-line option."""
        self.word = word
        self.metavar = metavar
        self.help = help
        self.repeatable = repeatable
        self.switch = switch
        self.ini_only = ini_only

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
        "max-sessions",
        "N",
        "sessions that the run may have at once on this host, over all workers (default: what tests hold "
        "and, created ahead, up to 4 per worker, at least 8, in all)",
    ),
    _Option(
        "reuse",
        "|".join(REUSES),
        "whether a session is leased again: never (default), reset (if pytest_agb_session_reset succeeds), "
        "always",
    ),
    _Option(
        "sweep",
        "",
        "before the first test, delete the account's orphaned sessions, as `pytest-agb sweep` does",
        switch=True,
    ),
    _Option(
        "keep-failed",
        "",
        "do not delete the sessions of tests that fail in setup or call, so that you can look into them; "
        "they end by their idle timeout, which is the maximum lifetime then if none is given",
        switch=True,
    ),
    _Option("max-uses", "N", "leases of one session at the most (default: any number)", ini_only=True),
    _Option(
        "max-idle",
        "SECONDS",
        f"seconds that a session may wait for a test (default: {DEFAULT_MAX_IDLE_SECONDS})",
        ini_only=True,
    ),
    _Option(
        "wait-timeout",
        "SECONDS",
        f"seconds that a test may wait for a session (default: {DEFAULT_WAIT_TIMEOUT_SECONDS})",
        ini_only=True,
    ),
    _Option(
        "max-lifetime",
        "SECONDS",
        f"seconds that the service keeps a session at the most (default: {MAX_LIFETIME_SECONDS})",
        ini_only=True,
    ),
    _Option(
        "renew",
        "",
        "replace a shared session past its lifetime by a new one, rather than fail the next test",
        switch=True,
        ini_only=True,
    ),
    _Option(
        "local-isolation",
        "|".join(LOCAL_ISOLATIONS),
        "how local sandboxes are isolated: auto (default) uses namespaces, else landlock, or refuses; "
        "any runs without isolation rather than refuse, none asks for that",
    ),
    _Option(
        "local-network",
        "|".join(LOCAL_NETWORKS),
        "network of local sandboxes: none (default), or host, this machine's",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin."""
    group = parser.getgroup("agb", "AGB sandbox sessions (pytest-agb)")
    for option in _OPTIONS:
        twin = f" [twin of {option.flag}]"
        if option.ini_only:
            twin = ""
        elif option.switch:
            group.addoption(
                option.flag, action="store_true", default=None, help=f"{option.help} [ini: {option.ini}]"
            )
        else:
            group.addoption(
                option.flag,
                action="append" if option.repeatable else "store",
                default=None,
                metavar=option.metavar,
                help=f"{option.help} [ini: {option.ini}]",
            )
        # A switch is read as text, so that a wrong value is our usage error on every pytest.
        parser.addini(option.ini, f"{option.help}{twin}", type=_ini_type(option), default=None)


def _ini_type(option: _Option) -> 'Literal["linelist"] | None':
    return "linelist" if option.repeatable else None


class _Value:
    """What was asked for, and where: errors name the source."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source


class _Sources:
    """The command line over the ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._options = {option.word: option for option in _OPTIONS}

    def command_line(self, word: str) -> list[_Value]:
        option = self._options[word]
        given = None if option.ini_only else self._config.getoption(option.flag)
        texts = given if isinstance(given, list) else [] if given is None else [given]
        return [_Value(str(text), option.flag) for text in texts]

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
    max_lifetime = _number(sources.one("max-lifetime", str(MAX_LIFETIME_SECONDS)), "seconds")
    keep_failed = _keep_failed(sources, backend)
    idle_timeout = max_lifetime if keep_failed else DEFAULT_IDLE_TIMEOUT_SECONDS
    return Settings(
        backend=backend,
        run_id=_run_id(sources.one("run-id", "run")),
        images=_images(sources.all("image")),
        labels={**_labels(sources.ini("labels")), **_labels(sources.command_line("labels"))},
        scope=_choice(sources.one("scope", "function"), SCOPES),
        idle_timeout=_number(sources.one("idle-timeout", str(idle_timeout)), "seconds"),
        max_sessions=_optional(sources, "max-sessions"),
        reuse=_reuse(config, _choice(sources.one("reuse", "never"), REUSES)),
        max_uses=_optional(sources, "max-uses"),
        max_idle=_number(sources.one("max-idle", str(DEFAULT_MAX_IDLE_SECONDS)), "seconds"),
        wait_timeout=_number(sources.one("wait-timeout", str(DEFAULT_WAIT_TIMEOUT_SECONDS)), "seconds"),
        max_lifetime=max_lifetime,
        renew=_switch(sources.one("renew", "false")),
        sweep=_switch(sources.one("sweep", "false")),
        keep_failed=keep_failed,
        times=_remembered_times(config, backend),
        local_isolation=_choice(sources.one("local-isolation", "auto"), LOCAL_ISOLATIONS),
        local_network=_choice(sources.one("local-network", "none"), LOCAL_NETWORKS),
        endpoint=account.endpoint if backend == CLOUD else "",
        timeout_seconds=account.timeout_seconds,
        api_key=account.api_key if backend == CLOUD else os.urandom(32).hex(),
        ci_run=ci_run(environ),
    )


def _choice(value: _Value, choices: Iterable[str]) -> str:
    if value.text not in choices:
        raise pytest.UsageError(f"{value.source}: {value.text!r} is none of {', '.join(choices)}")
    return value.text


def _run_id(value: _Value) -> str:
    # The random end keeps two runs apart whatever the prefix.
    if not 1 <= len(value.text) <= 40 or not _RUN_ID_CHARACTERS.issuperset(value.text):
        raise pytest.UsageError(
            f"{value.source}: {value.text!r} can't start a run ID; use up to 40 of a-z, 0-9 and '-'"
        )
    return f"{value.text}-{os.urandom(4).hex()}"


def _images(values: list[_Value]) -> tuple[str, ...]:
    for value in values:
        if not value.text.strip():
            raise pytest.UsageError(f"{value.source}: an image ID is empty; give one such as {DEFAULT_IMAGE}")
    images = tuple(dict.fromkeys(value.text.strip() for value in values))
    return images or (DEFAULT_IMAGE,)


def _number(value: _Value, of: str) -> int:
    digits = value.text.isascii() and value.text.isdigit() and not value.text.startswith("0")
    if not digits or len(value.text) > 6:
        raise pytest.UsageError(
            f"{value.source}: {value.text!r} is no number of {of}; give a whole one, at least 1"
        )
    return int(value.text)


def _optional(sources: _Sources, word: str) -> int | None:
    given = sources.all(word)
    return _number(given[-1], word.partition("-")[2]) if given else None


def _switch(value: _Value) -> bool:
    word = value.text.lower()
    if word not in _SWITCH:
        raise pytest.UsageError(f"{value.source}: {value.text!r} is neither true nor false")
    return _SWITCH[word]


def _keep_failed(sources: _Sources, backend: str) -> bool:
    if backend == LOCAL and sources.command_line("keep-failed"):
        raise pytest.UsageError(
            "--agb-keep-failed: local sandboxes end with the run; to keep some, start `pytest-agb serve` and "
            "set the AGB_ENDPOINT and AGB_API_KEY that it prints"
        )
    # A project's ini file holds for the local runs of who has no key, too.
    return _switch(sources.one("keep-failed", "false")) and backend == CLOUD


def _reuse(config: pytest.Config, reuse: str) -> str:
    if reuse == "reset" and not config.hook.pytest_agb_session_reset.get_hookimpls():
        raise pytest.UsageError(
            "--agb-reuse=reset: nothing implements pytest_agb_session_reset(session), which must bring a "
            "session back into its first state; implement it in the topmost conftest.py, or use "
            "--agb-reuse=always or never"
        )
    return reuse


def _remembered_times(config: pytest.Config, backend: str) -> tuple[float, float, float] | None:
    cache = getattr(config, "cache", None)  # there is none with -p no:cacheprovider
    found = cache.get(f"{_TIMES}-{backend}", None) if cache else None
    if not isinstance(found, list) or not all(isinstance(item, (int, float)) for item in found):
        return None
    return (found[0], found[1], found[2]) if len(found) == 3 and min(found) >= 0 else None


def remember_times(config: pytest.Config, backend: str, times: tuple[float, float, float] | None) -> None:
    """Keep what a create, a lease and a delete took for the next run, in pytest's cache."""
    cache = getattr(config, "cache", None)
    if cache and times:
        cache.set(f"{_TIMES}-{backend}", list(times))


def _labels(values: list[_Value]) -> dict[str, str]:
    if not values:
        return {}
    from pytest_agb import labels as label_rules  # only where labels are given: start-up time

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
