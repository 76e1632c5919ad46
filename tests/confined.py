"""A server for each way of isolation that this machine has, run by root and by an ordinary user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from localserver import Api, Sandbox, Server, serving
from ordinaryuser import ordinary_user

from pytest_agb.local import isolation

USERS = ("root", "ordinary") if os.getuid() == 0 else ("ordinary",)
WAYS = [f"{way}-{user}" for way in isolation.WAYS for user in USERS]


@dataclass(frozen=True)
class Confined:
    """A server whose sandboxes are isolated in one way, run by one user."""

    way: str
    prefix: tuple[str, ...]
    python: str
    server: Server
    api: Api


@pytest.fixture(scope="module", params=WAYS)
def confined(request: pytest.FixtureRequest) -> Iterator[Confined]:
    way, user = request.param.split("-")
    if obstacle := isolation.obstacle_to(way):
        pytest.skip(f"no {way} on this machine: {obstacle.cause}")
    prefix, python = ordinary_user() if user == "ordinary" else ((), sys.executable)
    with serving("--isolation", way, prefix=prefix, python=python) as server:
        api = Api(server)
        with api.http:
            yield Confined(way, prefix, python, server, api)


@pytest.fixture
def inside(confined: Confined) -> Iterator[Sandbox]:
    with confined.api.session() as sandbox:
        yield sandbox
