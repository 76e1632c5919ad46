"""Decide how sandboxes are kept apart on this machine, or say why they can't be.

The question is answered by a launch, in a process of its own (`launch.probe`): a kernel, a container and a
security module can each forbid a step, and only the step knows.
"""

from __future__ import annotations

import errno
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_agb import namespace_signs
from pytest_agb.local import boot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: For the header of a run whose sandboxes are not sandboxes.
NOT_ISOLATED = "NOT ISOLATED: commands see this machine"
#: The ways to isolate, the better first.
WAYS = ("namespaces", "landlock")
#: What can be asked for: ``auto`` is the first way that works, ``any`` does without rather than refuse.
REQUESTS = ("auto", "any", *WAYS, "none")

#: What Landlock holds and what it leaves open, by the probe's words. The last two it never holds.
_KEPT = {"files": "own files only", "network": "no network", "signals": "no signals to others"}
_LEFT_OPEN = {
    "network": "the network is this machine's",
    "signals": "others can be signalled",
    "tmp": "/tmp is not private",
    "processes": "processes can be listed",
}
#: What a container needs that shall have sandboxes with namespaces.
DOCKER_OPTIONS = (
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined …"
)
_PROBE_TIMEOUT_SECONDS = 20.0


class Obstacle(NamedTuple):
    """What keeps a way of isolation from working, and the command or the change that lifts it, if any."""

    cause: str
    remedy: str = ""


class IsolationUnavailable(RuntimeError):  # noqa: N818 (it is a state of the machine)
    """This machine can't keep sandboxes apart. The message has the causes, and what lifts them."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        super().__init__(obstacles)
        self.obstacles = obstacles

    def __str__(self) -> str:
        return self.worded({})

    def worded(self, ways_around: Mapping[str, str]) -> str:
        """Return the message, one line for each remedy.

        ``ways_around`` are those that the caller has besides, an option of its own for example: what each is
        good for (``to run without``), and what to do.
        """
        causes = dict.fromkeys(obstacle.cause for obstacle in self.obstacles)
        remedies = dict.fromkeys(obstacle.remedy for obstacle in self.obstacles if obstacle.remedy)
        lines = [("to isolate them" if number == 0 else "or", what) for number, what in enumerate(remedies)]
        return "\n".join(
            [
                f"Local sandboxes can't be isolated on this machine: {'; '.join(causes)}.",
                *(f"  {f'{purpose}:':<22} {what}" for purpose, what in [*lines, *ways_around.items()]),
            ]
        )


def choose(requested: str) -> str:
    """Turn what was asked for, one of `REQUESTS`, into what is done.

    Returns:
        ``namespaces``, ``landlock`` or ``none``.

    Raises:
        IsolationUnavailable: isolation is wanted and can't be had.
        ValueError: ``requested`` is none of `REQUESTS`.
    """
    if requested not in REQUESTS:
        raise ValueError(f"isolation {requested!r} is not one of {', '.join(REQUESTS)}")
    if requested == "none":
        return "none"
    obstacles = []
    for way in (requested,) if requested in WAYS else WAYS:
        obstacle = obstacle_to(way)
        if obstacle is None:
            return way
        obstacles.append(obstacle)
    if requested == "any":
        return "none"
    raise IsolationUnavailable(obstacles)


def obstacle_to(way: str) -> Obstacle | None:
    """Return what keeps one of `WAYS` from working on this machine; ``None`` if nothing does."""
    if not sys.platform.startswith("linux"):
        return Obstacle(f"{sys.platform} has none of it", "run the tests on Linux or in a Linux container")
    return _namespaces() if way == "namespaces" else _landlock()[0]


def held_by_landlock() -> tuple[str, ...]:
    """Return what Landlock keeps apart here: of ``files``, ``network`` and ``signals``."""
    return _landlock()[1]


def notice(way: str, network: str = "none") -> str:
    """Return what must not go unnoticed about what `choose` returned: one line, or nothing."""
    if way == "none":
        return NOT_ISOLATED
    if way == "namespaces":
        return _LEFT_OPEN["network"] if network == "host" else ""
    held = [name for name in held_by_landlock() if name != "network" or network == "none"]
    kept = [_KEPT[name] for name in held]
    left_open = [words for name, words in _LEFT_OPEN.items() if name not in held]
    return f"Landlock: {', '.join(kept)}; but {', '.join(left_open)}"


@functools.cache
def _namespaces() -> Obstacle | None:
    status, answer, complaint = _probe("namespaces")
    if status == 0:
        return None
    number, cause = _failed_step(answer)
    if number is None:
        return Obstacle(f"the probe for namespaces failed: {complaint}")
    setting = _switched_off()
    if _in_container() and (setting is None or "AppArmor" in setting.cause):
        # The host's AppArmor restricts what a container's own limits may already forbid.
        return Obstacle(
            f"this container forbids namespaces ({cause})" + (f", and {setting.cause}" if setting else ""),
            (f"{setting.remedy} on the host, and " if setting else "") + f"start it with: {DOCKER_OPTIONS}",
        )
    if setting is not None:
        return setting
    return Obstacle(f"the kernel refused a step of the way into namespaces ({cause})")


@functools.cache
def _landlock() -> tuple[Obstacle | None, tuple[str, ...]]:
    """Return what keeps Landlock from working, and what it keeps apart if nothing does."""
    status, answer, complaint = _probe("landlock")
    if status == 0:
        held = tuple(answer.split())
        if "files" in held:
            return None, held
        return Obstacle("Landlock is there, and leaves files open that a sandbox must not read"), ()
    number, cause = _failed_step(answer)
    if number is None:
        return Obstacle(f"the probe for Landlock failed: {complaint}"), ()
    if number == errno.EOPNOTSUPP:
        return Obstacle(
            "Landlock is switched off (it is not in /sys/kernel/security/lsm)",
            "add landlock to the list that the kernel boots with, lsm=landlock,…",
        ), ()
    if _in_container():
        return Obstacle(
            f"this container forbids Landlock, or its kernel has none ({cause})",
            "Docker 23 or newer on Linux 5.13 or newer, or docker run --security-opt seccomp=unconfined …",
        ), ()
    if number == errno.ENOSYS:
        return Obstacle("this kernel has no Landlock", "Linux 5.13 or newer, built with Landlock"), ()
    return Obstacle(f"the kernel refused a step of Landlock's ({cause})"), ()


def _failed_step(answer: str) -> tuple[int | None, str]:
    """Take a probe's ``number step`` apart: the error's number, and both in words."""
    number, _, step = answer.partition(" ")
    if not number.isdigit():
        return None, ""
    return int(number), f"{step}: {errno.errorcode.get(int(number), number)}"


def _probe(way: str) -> tuple[int, str, str]:
    """Try a way of isolation; return exit status, what it said, and the last line of its complaints."""
    with tempfile.TemporaryDirectory(prefix="pytest-agb-probe-") as directory:
        try:
            done = subprocess.run(
                boot.command("launch.probe", "main", way, directory, site=True),
                env=boot.environment(), stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
                timeout=_PROBE_TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
        except OSError as error:
            return -1, "", f"{sys.executable} can't be started: {error.strerror}"
        except subprocess.TimeoutExpired:
            return -1, "", f"it took more than {_PROBE_TIMEOUT_SECONDS:.0f} s; try again"
    complaints = done.stderr.decode(errors="replace").strip().splitlines()
    answer = done.stdout.decode(errors="replace").strip()
    return done.returncode, answer, complaints[-1] if complaints else f"exit status {done.returncode}"


def _switched_off() -> Obstacle | None:
    """Return the setting of the kernel that forbids user namespaces, if one does."""
    setting = namespace_signs.forbidding_setting()
    if setting is None:
        return None
    return Obstacle(
        f"{setting.meaning} ({setting.name} is {setting.forbidding})",
        f"sudo sysctl -w {setting.name}={setting.allowing}",
    )


def _in_container() -> bool:
    # Kubernetes leaves no file.
    return (
        Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists()
        or "KUBERNETES_SERVICE_HOST" in os.environ
    )
