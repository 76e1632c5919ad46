"""What the probe says is what a launch does, whichever step of it this machine refuses."""

from __future__ import annotations

import errno
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support.local_server import environment, refusing

from pytest_agb.local.isolation import seccomp

pytestmark = pytest.mark.skipif(not seccomp.available(), reason="no filter for this processor")

#: Asks the probe, then has a fork server launch a sandbox; a line for each.
_BOTH = """
import asyncio, pathlib, sys
from pytest_agb.local.isolation import choose
from pytest_agb.local.limits.rlimits import Limits
from pytest_agb.local.sessions.sandbox import ForkServerHandle, SandboxError

way, directory = sys.argv[1], pathlib.Path(sys.argv[2])
obstacle = choose.obstacle_to(way)
print("none" if obstacle is None else obstacle.cause)

async def launch():
    fork_server.attach()
    try:
        await fork_server.spawn("one")
    except SandboxError as error:
        print(error)
    else:
        print("none")
        await fork_server.end("one")

fork_server = ForkServerHandle(way, directory, limits=Limits(), on_left=print)
try:
    asyncio.run(launch())
finally:
    fork_server.close()
"""
#: Numbers of system calls, on x86_64 and aarch64.
_CALLS = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "sethostname": (170, 161),
    "capset": (126, 91), "prlimit64": (302, 261), "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}  # fmt: skip
_NAMESPACES = pytest.mark.needs_namespaces
_LANDLOCK = pytest.mark.needs_landlock


def _probe_and_launch(way: str, directory: Path, refused: str | None = None) -> tuple[str, str]:
    """What keeps the probe, and a fork server, from a sandbox: ``none``, or words with the step."""
    prefix: tuple[str, ...] = ()
    if refused is not None:
        number = _CALLS[refused][["x86_64", "aarch64"].index(platform.machine())]
        prefix = refusing({number: errno.EXDEV})  # no step ends so by itself
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _BOTH, way, directory],
        env=environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    probed, launched = done.stdout.splitlines()
    return probed, launched


@pytest.mark.parametrize(
    "way", [pytest.param("namespaces", marks=_NAMESPACES), pytest.param("landlock", marks=_LANDLOCK)]
)
def test_where_the_probe_finds_nothing_a_launch_succeeds(way: str, tmp_path: Path) -> None:
    assert _probe_and_launch(way, tmp_path) == ("none", "none")


@pytest.mark.parametrize(
    ("way", "call", "step"),
    [
        *(
            pytest.param("namespaces", call, step, marks=_NAMESPACES, id=f"namespaces-{call}")
            for call, step in {
                "mount": "private mounts",
                "sethostname": "set-up",
                "pivot_root": "pivot_root",
                "umount2": "unmount the old root",
                "capset": "capset",
                "prlimit64": "set-up",
            }.items()
        ),
        *(
            pytest.param("landlock", call, step, marks=_LANDLOCK, id=f"landlock-{call}")
            for call, step in {
                "capset": "capset",
                "landlock_create_ruleset": "landlock_create_ruleset",
                "landlock_add_rule": "landlock_add_rule",
                "landlock_restrict_self": "landlock_restrict_self",
                "seccomp": "seccomp",
                "prlimit64": "set-up",
            }.items()
        ),
    ],
)
def test_a_step_that_fails_in_a_launch_fails_in_the_probe(
    way: str, call: str, step: str, tmp_path: Path
) -> None:
    probed, launched = _probe_and_launch(way, tmp_path, call)
    assert step in probed
    assert "EXDEV" in probed
    assert step in launched
    assert "Invalid cross-device link" in launched
