"""What a suite asks of our fixtures that they can't give: told, never passed over."""

from __future__ import annotations

import inspect
import os
import re
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb.plugin import scopes
from pytest_agb.plugin.pytest_internals import (
    fixture_definitions,
    fixtures_set_up,
    own_markers,
    test_that_asks,
)
from pytest_agb.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_agb.plugin.pytest_internals import Failed

    Function = Callable[..., Any]

#: Where ours are defined; that module imports this one.
_OUR_FIXTURES = f"{__package__}.fixtures"


# ---- a parameter that nobody reads -----------------------------------------------------------------------


def refuse_parameter(request: pytest.FixtureRequest) -> None:
    """Fail a test that has parametrized one of our fixtures, which would run alike with each value.

    Raises:
        pytest.fail.Exception: it has.
    """
    name = request.fixturename
    definitions = fixture_definitions(test_that_asks(request)).get(name or "", ())
    # One that overrides ours sees the parameter, too, and is who it is for.
    if not hasattr(request, "param") or not definitions or definitions[-1].func.__module__ != _OUR_FIXTURES:
        return
    raise pytest.fail.Exception(
        f"{name} takes no parameter, and was given {request.param!r}: parametrize agb_image instead "
        f'(@pytest.mark.parametrize("agb_image", [...], indirect=True)), or give --agb-image several times',
        pytrace=False,
    )


# ---- a marker that nobody reads --------------------------------------------------------------------------


class MarkedTests:
    """A plugin of the runs in which a test carries our marker and does not name a fixture that reads it."""

    @pytest.hookimpl(trylast=True)  # after the test, and only if that has come to its end
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Warn of a marker that did nothing. One on a class or module may be for others there."""
        if own_markers(item, "agb") and scopes.MARKED.isdisjoint(fixtures_set_up(item)):
            item.warn(
                pytest.PytestWarning(
                    f"{item.nodeid}: the agb marker does nothing here, since the test uses no session: it "
                    f"asks for none of {', '.join(sorted(scopes.MARKED))}"
                )
            )


# ---- fixtures that are not ours --------------------------------------------------------------------------


def overridden(config: pytest.Config) -> list[str]:
    """Lines on our fixtures that a plugin or conftest, of what is loaded so far, puts its own in place of.

    One that is made from ours is the project's way to add to it, and not told.
    """
    return [
        _line(config, name, function)
        for name in sorted(scopes.GIVING)
        for function in _loaded(config, name)
        if not _is_made_from_ours(function, lambda name: _loaded(config, name))
    ]


def overridden_for(config: pytest.Config, items: Iterable[pytest.Item]) -> list[str]:
    """The same of what the collected tests see: modules, classes and inner conftests, too."""
    lines: dict[str, None] = {}
    for item in items:
        known = partial(_seen_by, item)
        for name in sorted(scopes.GIVING):
            for function in known(name)[-1:]:
                if not _is_made_from_ours(function, known):
                    lines[_line(config, name, function)] = None
    return list(lines)


def _loaded(config: pytest.Config, name: str) -> list[Function]:
    """The fixture's definitions in modules that are plugins or conftests.

    pytest itself makes fixtures of a conftest's only when it collects.
    """
    modules = [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType)]
    return [inspect.unwrap(vars(module)[name]) for module in modules if callable(vars(module).get(name))]


def _seen_by(item: pytest.Item, name: str) -> list[Function]:
    return [inspect.unwrap(definition.func) for definition in fixture_definitions(item).get(name, ())]


def _is_made_from_ours(function: Function, known: Callable[[str], list[Function]]) -> bool:
    """Whether a fixture is ours, or asks for one of ours, or for one that does."""
    to_see, seen = [function], [function]
    while to_see:
        function = to_see.pop()
        if function.__module__ == _OUR_FIXTURES and function.__name__ in scopes.GIVING:
            return True
        for name in inspect.signature(function).parameters:
            # One that asks for its own name gets what it overrides.
            unseen = [one for one in known(name) if one not in seen][-1:]
            seen += unseen
            to_see += unseen
    return False


def _line(config: pytest.Config, name: str, function: Function) -> str:
    code = getattr(function, "__code__", None)
    place = str(code.co_filename if code else function.__module__)
    return f"agb: {name} is not ours: it is overridden in {place.removeprefix(f'{config.rootpath}{os.sep}')}"


# ---- scopes that don't fit -------------------------------------------------------------------------------

_MISMATCH = re.compile(r"ScopeMismatch: .* access the (\w+) scoped fixture (\w+) with a (\w+) scoped")


def explain_mismatch(item: pytest.Item, error: Failed) -> None:
    """Have pytest's ScopeMismatch of one of our fixtures say what to do, too."""
    found = _MISMATCH.match(str(error))
    if found is None or found[2] not in scopes.OURS or "\nagb: " in str(error):
        return
    has, name, asking = found.groups()
    defined = _seen_by(item, name) or _loaded(item.config, name)  # by `getfixturevalue` it is not named
    if all(function.__module__ == _OUR_FIXTURES for function in defined[-1:]):
        # Of a package's fixtures pytest does not know that ours can have that scope.
        scope = "session" if asking == "package" else asking
        advice = (
            f"use --agb-scope={scope} (in an ini file: agb_scope), or write a fixture of your own with scope "
            f"{asking!r} that gives agb.create(CreateSessionParams(image_id=agb_image)).check().session"
        )
    else:
        advice = (
            f"{name} is overridden with scope {has!r}, which is too narrow for --agb-scope="
            f"{item.config.stash[SETTINGS].scope}: give it scope {asking!r} "
            "(parametrize it with indirect=True)"
        )
    error.msg = f"{error}\nagb: {advice}"
