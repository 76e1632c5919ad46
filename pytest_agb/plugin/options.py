"""Options and ini values: declared and read by one table, resolved in one place.

Every pytest run in the user's environment pays for this module: no data classes, named tuples or patterns,
which take longer to make than all the rest.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb import parse_number
from pytest_agb.environment import EnvironmentValueError, ci_run, read_account
from pytest_agb.plugin.pytest_internals import native_ini_value
from pytest_agb.run import run_directory
from pytest_agb.secret import Secret
from pytest_agb.settings import (
    BACKENDS,
    CI_END_TIMEOUT_SECONDS,
    CLOUD,
    DEFAULT_DOSSIER_CALLS,
    DEFAULT_END_TIMEOUT_SECONDS,
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

#: Of whatever is counted: seconds, sessions, leases.
_MOST = 999_999
_SWITCH = {"true": True, "yes": True, "on": True, "1": True}
_SWITCH |= {"false": False, "no": False, "off": False, "0": False}
_TIMES = "agb/times"
_LEVEL = "agb/level"
_RUN_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class _Value:
    """What was asked for, and where: errors name the source."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source


# ---- how values are read -----------------------------------------------------------------------------------


def _choice(*choices: str) -> Callable[[_Value], str]:
    def read(value: _Value) -> str:
        if value.text not in choices:
            raise pytest.UsageError(f"{value.source}: {value.text!r} is none of {', '.join(choices)}")
        return value.text

    return read


def _number(of: str, least: int = 1) -> Callable[[_Value], int]:
    def read(value: _Value) -> int:
        number = parse_number.whole(value.text.strip(), least, _MOST)
        if number is None:
            raise pytest.UsageError(
                f"{value.source}: {parse_number.shown(value.text)} is no number of {of}; "
                f"give a whole one from {least} to {_MOST}"
            )
        return number

    return read


_seconds, _sessions = _number("seconds"), _number("sessions")
_uses, _calls = _number("uses"), _number("calls")


def _minutes(value: _Value) -> float:
    number = parse_number.decimal(value.text.strip(), 0.01, _MOST)
    if number is None:
        raise pytest.UsageError(
            f"{value.source}: {parse_number.shown(value.text)} is no number of minutes; "
            f"give one from 0.01 to {_MOST}, such as 30 or 1.5"
        )
    return number


def _switch(value: _Value) -> bool:
    word = value.text.lower()
    if word not in _SWITCH:
        raise pytest.UsageError(f"{value.source}: {value.text!r} is neither true nor false")
    return _SWITCH[word]


def _run_id(value: _Value) -> str:
    # The random end keeps two runs apart whatever the prefix.
    if not 1 <= len(value.text) <= 40 or not _RUN_ID_CHARACTERS.issuperset(value.text):
        raise pytest.UsageError(
            f"{value.source}: {value.text!r} can't start a run ID; use up to 40 of a-z, 0-9 and '-'"
        )
    return f"{value.text}-{os.urandom(4).hex()}"


def _file(value: _Value) -> str:
    path = os.path.abspath(value.text) if value.text else ""  # noqa: PTH100  # pathlib: start-up time
    if path and not os.path.isdir(os.path.dirname(path)):  # noqa: PTH112, PTH120
        raise pytest.UsageError(f"{value.source}: there is no directory {os.path.dirname(path)}")  # noqa: PTH120
    return path


def _images(values: list[_Value]) -> tuple[str, ...]:
    for value in values:
        if not value.text.strip():
            raise pytest.UsageError(f"{value.source}: an image ID is empty; give one such as {DEFAULT_IMAGE}")
        if "," in value.text:
            flags = " ".join(f"--agb-image={image.strip()}" for image in value.text.split(","))
            raise pytest.UsageError(
                f"{value.source}: {value.text!r} holds a comma, which no image ID does; for several "
                f"images give it twice: {flags} (in an ini file: one a line)"
            )
    return tuple(dict.fromkeys(value.text.strip() for value in values))


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


# ---- the table ---------------------------------------------------------------------------------------------


class Option:
    """An option ``--agb-word`` and its ini twin ``agb_word``, for one field of `Settings`."""

    def __init__(
        self,
        word: str,
        metavar: str,
        help: str,
        read: Callable[[Any], Any],
        *,
        default: object = None,
        field: str = "",
        repeatable: bool = False,
        ini_only: bool = False,
    ) -> None:
        """Declare it.

        Args:
            word: What it is called.
            metavar: What ``--help`` calls its value.
            help: What it means.
            read: Makes the field's value of what was asked for: of a `_Value`, or of a list of these if the
                option is ``repeatable``.
            default: What counts as asked for where nothing was; without one the field is ``None`` then.
            field: If that is not the word itself.
            repeatable: Whether it may be given several times.
            ini_only: For what a project decides once: there is no command-line option.
        """
        self.word = word
        self.metavar = metavar
        self.help = help
        self.read = read
        self.default = default
        self.field = field or word.replace("-", "_")
        self.repeatable = repeatable
        self.ini_only = ini_only
        self.flag = f"--agb-{word}"
        self.ini = "agb_" + word.replace("-", "_")

    @property
    def switch(self) -> bool:
        """Whether it has no value on the command line."""
        return self.read is _switch


OPTIONS = (
    Option(
        "image",
        "IMAGE",
        f"image that sessions boot from (default: {DEFAULT_IMAGE}); given several times, every test that "
        "uses a session runs once with each",
        _images,
        default=DEFAULT_IMAGE,
        field="images",
        repeatable=True,
    ),
    Option(
        "labels",
        "KEY=VALUE[,KEY=VALUE...]",
        "labels for every session; may be repeated, and is merged over the ini value",
        _labels,
        repeatable=True,
    ),
    Option(
        "scope",
        "|".join(SCOPES),
        "scope of agb_session and agb_session_factory (default: function)",
        _choice(*SCOPES),
        default="function",
    ),
    Option(
        "backend",
        "|".join(BACKENDS),
        "where sessions live; auto (default) takes the cloud where AGB_API_KEY is set, else local sandboxes",
        _choice(*BACKENDS),
        default="auto",
    ),
    Option(
        "run-id",
        "PREFIX",
        "start of the run ID that every session is labelled with; 8 random hex digits are added",
        _run_id,
        default="run",
    ),
    Option(
        "idle-timeout",
        "SECONDS",
        "seconds without a call after which the service releases a session by itself "
        f"(default: {DEFAULT_IDLE_TIMEOUT_SECONDS})",
        _seconds,
    ),
    Option(
        "max-sessions",
        "N",
        "sessions that the run may have at once on this host, over all workers (default: what tests hold "
        "and, created ahead, up to 4 per worker, at least 8, in all)",
        _sessions,
    ),
    Option(
        "end-timeout",
        "SECONDS",
        "seconds that the end of the run waits for sessions, whose deletion the service has accepted, to be "
        f"gone (default: {DEFAULT_END_TIMEOUT_SECONDS}, on CI {CI_END_TIMEOUT_SECONDS})",
        _number("seconds", least=0),
    ),
    Option(
        "reuse",
        "|".join(REUSES),
        "whether a session is leased again: never (default), reset (if pytest_agb_session_reset succeeds), "
        "always",
        _choice(*REUSES),
        default="never",
    ),
    Option(
        "sweep",
        "",
        "before the first test, delete the account's orphaned sessions, as `pytest-agb sweep` does",
        _switch,
        default="false",
    ),
    Option(
        "keep-failed",
        "",
        "do not delete the sessions of tests that fail in setup or call, so that you can look into them; "
        "they end by their idle timeout, which is the maximum lifetime then if none is given",
        _switch,
        default="false",
    ),
    Option(
        "max-uses",
        "N",
        "leases of one session at the most (default: any number)",
        _uses,
        ini_only=True,
    ),
    Option(
        "max-idle",
        "SECONDS",
        f"seconds that a session may wait for a test (default: {DEFAULT_MAX_IDLE_SECONDS})",
        _seconds,
        default=DEFAULT_MAX_IDLE_SECONDS,
        ini_only=True,
    ),
    Option(
        "wait-timeout",
        "SECONDS",
        f"seconds that a test may wait for a session (default: {DEFAULT_WAIT_TIMEOUT_SECONDS})",
        _seconds,
        default=DEFAULT_WAIT_TIMEOUT_SECONDS,
        ini_only=True,
    ),
    Option(
        "max-lifetime",
        "SECONDS",
        f"seconds that the service keeps a session at the most (default: {MAX_LIFETIME_SECONDS})",
        _seconds,
        default=MAX_LIFETIME_SECONDS,
        ini_only=True,
    ),
    Option(
        "renew",
        "",
        "replace a shared session that is dead or past its lifetime, rather than fail the next test",
        _switch,
        default="false",
        ini_only=True,
    ),
    Option(
        "budget-minutes",
        "MINUTES",
        "sandbox-minutes, used and idle, after which no more sessions are created (default: any number)",
        _minutes,
        ini_only=True,
    ),
    Option(
        "dossier-calls",
        "N",
        "calls in its sessions that a failed test shows at the most, the latest "
        f"(default: {DEFAULT_DOSSIER_CALLS})",
        _calls,
        default=DEFAULT_DOSSIER_CALLS,
        ini_only=True,
    ),
    Option(
        "report",
        "FILE",
        "write what failed tests tell of their sessions, and what these cost, to a JSON file",
        _file,
        default="",
    ),
    Option(
        "local-isolation",
        "|".join(LOCAL_ISOLATIONS),
        "how local sandboxes are isolated: auto (default) uses namespaces, else landlock, or refuses; "
        "any runs without isolation rather than refuse, none asks for that",
        _choice(*LOCAL_ISOLATIONS),
        default="auto",
    ),
    Option(
        "local-network",
        "|".join(LOCAL_NETWORKS),
        "network of local sandboxes: none (default), or host, this machine's",
        _choice(*LOCAL_NETWORKS),
        default="none",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and its ini twin."""
    group = parser.getgroup("agb", "AGB sandbox sessions (pytest-agb)")
    for option in OPTIONS:
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


def _ini_type(option: Option) -> 'Literal["linelist"] | None':
    return "linelist" if option.repeatable else None


class _Sources:
    """The command line over the ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def command_line(self, option: Option) -> list[_Value]:
        given = None if option.ini_only else self._config.getoption(option.flag)
        texts = given if isinstance(given, list) else [] if given is None else [given]
        return [_Value(str(text), option.flag) for text in texts]

    def ini(self, option: Option) -> list[_Value]:
        source = f"ini value {option.ini}"
        given = native_ini_value(self._config, option.ini)  # true is as good as "true", and 60 as "60"
        if given is None:
            try:
                given = self._config.getini(option.ini)
            except (TypeError, ValueError) as error:  # before pytest 9.1 a wrong type ends like this
                raise pytest.UsageError(f"{source}: {error}") from error
        if isinstance(given, dict) or (isinstance(given, list) and not option.repeatable):
            several = "a list of them" if option.repeatable else "one value"
            raise pytest.UsageError(f"{source}: {given!r} can't be used; give {several}: {option.metavar}")
        texts = given if isinstance(given, list) else [] if given is None else [given]
        return [_Value(str(text).strip(), source) for text in texts]

    def read(self, option: Option) -> Any:
        """The command line's value or, where it gives none, the ini file's, or the default."""
        default = [] if option.default is None else [_Value(str(option.default), "default")]
        values = self.command_line(option) or self.ini(option) or default
        if option.repeatable:
            return option.read(values)
        return option.read(values[-1]) if values else None


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
    asked = {option.field: sources.read(option) for option in OPTIONS}
    by_word = {option.word: option for option in OPTIONS}
    asked["labels"] = {**_labels(sources.ini(by_word["labels"])), **asked["labels"]}
    if asked["backend"] == "auto":
        asked["backend"] = CLOUD if account.api_key else LOCAL
    cloud = asked["backend"] == CLOUD
    if asked["keep_failed"] and not cloud:
        # A project's ini file holds for the local runs of who has no key, too.
        asked["keep_failed"] = False
        if sources.command_line(by_word["keep-failed"]):
            raise pytest.UsageError(
                "--agb-keep-failed: local sandboxes end with the run; to keep some, start `pytest-agb serve` "
                "and set the AGB_ENDPOINT and AGB_API_KEY that it prints"
            )
    if asked["idle_timeout"] is None:
        asked["idle_timeout"] = (
            asked["max_lifetime"] if asked["keep_failed"] else DEFAULT_IDLE_TIMEOUT_SECONDS
        )
    ci = ci_run(environ)
    if asked["end_timeout"] is None:
        asked["end_timeout"] = CI_END_TIMEOUT_SECONDS if ci else DEFAULT_END_TIMEOUT_SECONDS
    if asked["reuse"] == "reset" and not config.hook.pytest_agb_session_reset.get_hookimpls():
        raise pytest.UsageError(
            "--agb-reuse=reset: nothing implements pytest_agb_session_reset(session), which must bring a "
            "session back into its first state; implement it in the topmost conftest.py, or use "
            "--agb-reuse=always or never"
        )
    return Settings(
        **asked,
        times=_remembered_times(config, asked["backend"]),
        level=_remembered_level(config) if cloud else None,
        endpoint=account.endpoint if cloud else "",
        timeout_seconds=account.timeout_seconds,
        api_key=account.api_key if cloud else Secret(os.urandom(32).hex()),
        ci_run=ci,
        temp_directory=run_directory.temp_directory(),
    )


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


def _remembered_level(config: pytest.Config) -> int | None:
    cache = getattr(config, "cache", None)
    found = cache.get(_LEVEL, None) if cache else None
    return found if type(found) is int and found > 0 else None


def remember_level(config: pytest.Config, before: int | None, level: int | None) -> None:
    """Keep how many sessions the account has room for, for the next run; ``before``: of the last one."""
    cache = getattr(config, "cache", None)
    if cache and level != before:
        cache.set(_LEVEL, level)
