"""Every attribute of pytest that we touch and its documentation does not promise."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pytest

    # pytest has public names for items and collectors, and none for what is either.
    from _pytest.nodes import Node as Node

    # `pytest.fail.Exception` is no name for a type.
    from _pytest.outcomes import Failed as Failed


def fixture_names(item: pytest.Item | None) -> Collection[str]:
    """The fixtures that a test names, and those that these name; none for what is no function.

    `pytest.FixtureRequest.fixturenames` is public, but there is no request before a test's setup.
    """
    names: Collection[str] = getattr(item, "fixturenames", ())
    return names


def fixture_definitions(item: pytest.Item) -> Mapping[str, Sequence[pytest.FixtureDef[Any]]]:
    """Who defines each of them, the one that counts last.

    Only this tells, before a test runs, whether a conftest overrides a fixture of ours.
    """
    definitions: Mapping[str, Sequence[pytest.FixtureDef[Any]]]
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return definitions


def parameter(item: pytest.Item, fixture: str) -> object | None:
    """What ``fixture`` is parametrized with for this test; ``None`` if it is not.

    Only this tells before the fixture is set up.
    """
    parameters: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get(fixture)


def own_markers(item: pytest.Item, name: str) -> bool:
    """Whether the test itself carries a marker, rather than its class or module.

    `pytest.Item.own_markers` is public, but there are items without.
    """
    return any(mark.name == name for mark in getattr(item, "own_markers", ()))


def fixtures_set_up(item: pytest.Item) -> Collection[str]:
    """The fixtures that a running test has got by now, those that it asked for as it ran too.

    `item.funcargs` has only those that it names.
    """
    definitions: Mapping[str, object] = getattr(getattr(item, "_request", None), "_fixture_defs", {})
    return definitions.keys()


def is_parametrized(metafunc: pytest.Metafunc, fixture: str) -> bool:
    """Whether somebody has parametrized ``fixture`` for a test function by now, by a mark or a hook.

    To do so again would be an error.
    """
    return any(fixture in call.params for call in metafunc._calls)


def native_ini_value(config: pytest.Config, name: str) -> Any:
    """What a TOML file of pytest 9 gives ``name``, in TOML's own types; ``None`` where no such file does.

    `pytest.Config.getini` refuses whatever is not of the one type that was declared for all files.
    """
    given: Any = getattr(config, "_inicfg", {}).get(name)
    return given.value if getattr(given, "mode", "") == "toml" else None


def skipped_by_mark(item: pytest.Item) -> bool:
    """Whether a mark, ``skip`` or a ``skipif`` that holds, keeps ``item`` from running.

    pytest decides that in the test's setup.
    """
    if not item.config.pluginmanager.hasplugin("skipping"):
        return False
    from _pytest.outcomes import OutcomeException
    from _pytest.skipping import evaluate_skip_marks

    try:
        return evaluate_skip_marks(item) is not None
    except (OutcomeException, TypeError):  # a condition or a mark that is wrong: an error in the test's setup
        return False


def test_that_asks(request: pytest.FixtureRequest) -> pytest.Item:
    """The test that a fixture is being set up for.

    `pytest.FixtureRequest.node` is the whole run for a fixture of scope ``session``.
    """
    item: pytest.Item = request._pyfuncitem
    return item


def add_section(report: pytest.TestReport, name: str, text: str) -> None:
    """Add a section to what a failure shows.

    `pytest.TestReport.sections` is public, but --show-capture hides those, and JUnit XML leaves them out.
    What a failure of pytest's own kinds shows has sections of its own, which pytest carries over xdist.
    """
    add = getattr(report.longrepr, "addsection", None)
    if add is None:  # a collector of another plugin shows its failures in its own way
        report.sections.append((name, text))
    else:
        add(name, text)


def put_first(report: pytest.TestReport, cause: str, *, keep: bool) -> None:
    """Have the short summary of a failure, and JUnit's message, begin with ``cause``.

    Nothing public says what a failure is summarized by. ``keep`` has what it was by now follow.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        was = crash.message.partition("\n")[0]
        crash.message = f"{cause} ({was})" if keep else cause


def leave_out_frames(excinfo: pytest.ExceptionInfo[BaseException], package: str) -> None:
    """Leave a package's frames out of a traceback, unless it has no others.

    ``__tracebackhide__`` is public, and one line in each function; a module's is not documented.
    """
    prefix = f"{package}."
    theirs = excinfo.traceback.filter(
        lambda entry: not f"{entry.frame.f_globals.get('__name__', '')}.".startswith(prefix)
    )
    if theirs:
        excinfo.traceback = theirs


def is_within_a_test(environ: Mapping[str, str]) -> bool:
    """Whether an environment is that of a program which a test of some pytest has started."""
    return "PYTEST_CURRENT_TEST" in environ


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """What is printed inside reaches the user while a test runs, whatever it captures.

    The public way, the fixture ``capsys``, is the test's to ask for.
    """
    capture = config.pluginmanager.getplugin("capturemanager")  # there is none with -p no:capture
    if capture is None:
        return nullcontext()
    disabled: AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return disabled
