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


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """What is printed inside reaches the user while a test runs, whatever it captures.

    The public way, the fixture ``capsys``, is the test's to ask for.
    """
    capture = config.pluginmanager.getplugin("capturemanager")  # there is none with -p no:capture
    if capture is None:
        return nullcontext()
    disabled: AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return disabled
