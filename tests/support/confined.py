"""A server for each way of isolation that this machine has, run by root and by an ordinary user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from pytest_agb.local.isolation import choose
from pytest_agb.local.limits.rlimits import Limits
from support.local_server import Api, Sandbox, Server, serving
from support.ordinary_user import ordinary_user

USERS = ("root", "ordinary") if os.getuid() == 0 else ("ordinary",)
WAYS = [f"{way}-{user}" for way in choose.WAYS for user in USERS]

#: Where root runs the tests, the others are left to `-m slow`.
ENOUGH = ("namespaces-root", "landlock-ordinary") if len(USERS) > 1 else WAYS
PARAMS = [pytest.param(way, marks=() if way in ENOUGH else pytest.mark.slow) for way in WAYS]


@dataclass(frozen=True)
class Confined:
    """A server whose sandboxes are isolated in one way, run by one user."""

    way: str
    prefix: tuple[str, ...]
    python: str
    server: Server
    api: Api


@contextmanager
def confining(way_and_user: str, *arguments: str, limits: Limits | None = None) -> Iterator[Confined]:
    """Run such a server; skip where that can't be."""
    way, user = way_and_user.split("-")
    if obstacle := choose.obstacle_to(way):
        pytest.skip(f"no {way} on this machine: {obstacle.cause}")
    prefix, python = ordinary_user() if user == "ordinary" else ((), sys.executable)
    with serving("--isolation", way, *arguments, prefix=prefix, python=python, limits=limits) as server:
        api = Api(server)
        with api.http:
            yield Confined(way, prefix, python, server, api)


@pytest.fixture(scope="module", params=PARAMS)
def confined(request: pytest.FixtureRequest) -> Iterator[Confined]:
    with confining(request.param) as running:
        yield running


@pytest.fixture
def inside(confined: Confined) -> Iterator[Sandbox]:
    with confined.api.session() as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=PARAMS)
def limited(request: pytest.FixtureRequest) -> Iterator[Confined]:
    """The same, with what the test module calls ``LIMITS``."""
    with confining(request.param, limits=request.module.LIMITS) as running:
        yield running


@pytest.fixture
def lasting(limited: Confined) -> Iterator[Sandbox]:
    """A session that answers in the end, whatever became of its processes."""
    with limited.api.session() as sandbox:
        yield sandbox
        assert sandbox.value("1 + 1") == "2"
