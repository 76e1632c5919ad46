"""Calling the project's hooks, so that one that fails is named as that hook, with its own error first."""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_agb.client import CreateSessionParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, TracebackType

    import pluggy

    from pytest_agb.client import Session
    from pytest_agb.plugin.pytest_internals import Node

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


def params(node: Node, given: CreateSessionParams) -> CreateSessionParams:
    """What ``pytest_agb_session_params`` makes of ``given``.

    Raises:
        pytest.fail.Exception: it failed, or returned something else.
    """
    hook = node.ihook.pytest_agb_session_params
    with _naming(hook, node.config):
        made = hook(config=node.config, params=given)
    if made is None:
        return given
    if not isinstance(made, CreateSessionParams):
        raise pytest.fail.Exception(
            f"pytest_agb_session_params returned {made!r:.100}: it must be CreateSessionParams, which "
            "dataclasses.replace(params, ...) makes, or None",
            pytrace=False,
        )
    return made


def ready(node: Node, session: Session) -> None:
    """Have the project prepare a new session.

    Raises:
        pytest.fail.Exception: that failed.
    """
    hook = node.ihook.pytest_agb_session_ready
    with _naming(hook, node.config):
        hook(config=node.config, session=session)


def reset(node: Node, session: Session) -> str:
    """Have the project reset a session; return why that failed, or an empty string."""
    hook = node.ihook.pytest_agb_session_reset
    try:
        hook(config=node.config, session=session)
    except Exception as error:
        return _headline(hook, node.config, error)
    return ""


@contextmanager
def _naming(hook: pluggy.HookCaller, config: pytest.Config) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Its traceback from the hook on: what lies before that is pytest's and ours.
        error.__traceback__ = _place(hook, error)[1]
        told = "".join(_without_our_frames(error).format()).rstrip()
        raise pytest.fail.Exception(f"{_headline(hook, config, error)}\n\n{told}", pytrace=False) from None


def _without_our_frames(error: Exception) -> traceback.TracebackException:
    shown = traceback.TracebackException.from_exception(error)
    theirs = [frame for frame in shown.stack if not frame.filename.startswith(_PACKAGE)]
    shown.stack = traceback.StackSummary.from_list(theirs)
    return shown


def _headline(hook: pluggy.HookCaller, config: pytest.Config, error: Exception) -> str:
    """One line: the hook, where it is, and how its error begins."""
    text = str(error).strip()
    first = text.partition("\n")[0]
    more = " ..." if first != text or len(first) > 300 else ""
    said = f": {first[:300]}{more}" if first else ""
    place = _place(hook, error)[0]
    return f"{hook.name}{_shown(place, config)} failed: {type(error).__name__}{said}"


def _place(hook: pluggy.HookCaller, error: Exception) -> tuple[CodeType | None, TracebackType | None]:
    """The implementation that raised, and the traceback from there on: all of it, if none is found in it."""
    codes = {getattr(implementation.function, "__code__", None) for implementation in hook.get_hookimpls()}
    found: tuple[CodeType | None, TracebackType | None] = None, error.__traceback__
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code in codes:  # the innermost: others are wrappers around it
            found = step.tb_frame.f_code, step
        step = step.tb_next
    return found


def _shown(code: CodeType | None, config: pytest.Config) -> str:
    if code is None:
        return ""
    root = f"{config.rootpath}{os.sep}"
    return f" ({code.co_filename.removeprefix(root)}:{code.co_firstlineno})"
