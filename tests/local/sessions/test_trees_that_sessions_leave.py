"""Trees that code in a session makes: no call fails of them, the session ends, and nothing of it is left."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.confined import USERS
from support.deadline import eventually
from support.local_server import Api, Sandbox, serving
from support.ordinary_user import ordinary_user

from pytest_agb.local.isolation import choose
from pytest_agb.removal import remove_tree

#: As Go's module cache.
READ_ONLY = (
    "import os; os.makedirs('ro/in'); open('ro/in/f', 'w'); os.chmod('ro/in', 0o555); os.chmod('ro', 0)"
)
#: Not longer than a path may be, and longer.
DEEP = """
import os
here = os.getcwd()
for _ in range({depth}):
    os.mkdir('d'); os.chdir('d')
open('f', 'w').close()
os.chdir(here)
"""
TREES = {"read-only": READ_ONLY, "deep": DEEP.format(depth=1500), "deeper": DEEP.format(depth=2500)}


#: Each way and each user once; with the others a variant that takes long.
DEFAULT = ("landlock-ordinary", "none-root")
PLACES = [
    pytest.param(place, marks=() if place in DEFAULT else pytest.mark.slow)
    for place in (f"{way}-{user}" for way in ("landlock", "none") for user in USERS)
]


@pytest.fixture(scope="module", params=PLACES)
def on_disk(request: pytest.FixtureRequest) -> Iterator[tuple[Api, Path]]:
    """A server whose sessions have directories of this machine, and the place where they are."""
    way, user = request.param.split("-")
    if way == "landlock" and (obstacle := choose.obstacle_to(way)):
        pytest.skip(f"no {way} on this machine: {obstacle.cause}")
    prefix, python = ordinary_user() if user == "ordinary" else ((), sys.executable)
    place = Path(tempfile.mkdtemp(prefix="trees-"))
    place.chmod(0o777)
    environment = shutil.which("env") or "env"
    with serving(
        "--isolation", way, prefix=(*prefix, environment, f"TMPDIR={place}"), python=python
    ) as server:
        api = Api(server)
        with api.http:
            yield api, place
    eventually(lambda: not list(place.iterdir()), "nothing is left on disk")
    assert remove_tree(place) is None


@pytest.fixture(params=TREES)
def session(on_disk: tuple[Api, Path], request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    api, place = on_disk
    sandbox = api.create()
    assert sandbox.code(TREES[request.param])
    yield sandbox
    answer = api.post("/mcp/releaseSession", sessionId=sandbox.session_id)
    assert answer["success"], answer
    assert not list(place.glob("*/session-*"))


def test_calls_that_look_through_it_answer(session: Sandbox) -> None:
    for tool, arguments in (
        ("search_files", {"path": ".", "pattern": "f", "excludePatterns": []}),
        ("get_file_change", {"path": "."}),
        ("get_metrics", {}),
    ):
        ok, text = session.tool(tool, **arguments)
        assert ok, (tool, text)


def test_directories_are_made_however_deep(on_disk: tuple[Api, Path]) -> None:
    with on_disk[0].session() as sandbox:
        assert sandbox.tool("create_directory", path="d/" * 1500)[0]
        assert sandbox.tool("get_file_info", path="d/" * 1500)[0]
