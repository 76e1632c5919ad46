"""Decide how sandboxes are kept apart on this machine, or say why they can't be.

Standard library only. The question is answered by trying, in a process of its own: a kernel, a container
and a security module can each forbid a step, and only the step knows.
"""

from __future__ import annotations

import errno
import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from . import boot

#: For the header of a run whose sandboxes are not sandboxes.
NOT_ISOLATED = "NOT ISOLATED: commands see this machine"

_PROBE_TIMEOUT_SECONDS = 20.0


class IsolationUnavailable(RuntimeError):  # noqa: N818 (it is a state of the machine)
    """This machine can't keep sandboxes apart. The message has the cause and the remedies."""


def choose(requested: str) -> str:
    """Turn what was asked for (``auto``, ``any``, ``namespaces``, ``none``) into what is done.

    Returns:
        ``namespaces`` or ``none``.

    Raises:
        IsolationUnavailable: isolation is wanted and can't be had.
        ValueError: ``requested`` is none of the four.
    """
    if requested not in ("auto", "any", "namespaces", "none"):
        raise ValueError(f"isolation {requested!r} is not one of auto, any, namespaces, none")
    if requested == "none":
        return "none"
    obstacle = why_not()
    if obstacle is None:
        return "namespaces"
    if requested == "any":
        return "none"
    raise IsolationUnavailable(obstacle)


@functools.cache
def why_not() -> str | None:
    """Return what keeps this machine from isolating sandboxes, with remedies; ``None`` if nothing does."""
    if not sys.platform.startswith("linux"):
        return _message(f"{sys.platform} has no namespaces", "run the tests on Linux or in a Linux container")
    with tempfile.TemporaryDirectory(prefix="pytest-agb-probe-") as root:
        try:
            done = subprocess.run(
                boot.command("namespaces", "probe", root, site=True),
                env=boot.environment(), stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
                timeout=_PROBE_TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
        except OSError as error:
            return _message(f"{sys.executable} can't be started: {error.strerror}", "")
        except subprocess.TimeoutExpired:
            return _message(f"trying took more than {_PROBE_TIMEOUT_SECONDS:.0f} s", "try again")
    if done.returncode == 0:
        return None
    number, _, step = done.stdout.decode(errors="replace").strip().partition(" ")
    if not number.isdigit():
        tail = done.stderr.decode(errors="replace").strip().splitlines()
        return _message(f"the probe failed: {tail[-1] if tail else f'exit status {done.returncode}'}", "")
    return _explain(int(number), step)


def _explain(number: int, step: str) -> str:
    """Name the cause of a failed step and the command that lifts it."""
    if _setting("user/max_user_namespaces") == 0:
        return _message(
            "user namespaces are switched off (user.max_user_namespaces is 0)",
            "sudo sysctl -w user.max_user_namespaces=15000",
        )
    if _setting("kernel/unprivileged_userns_clone") == 0:
        return _message(
            "user namespaces are for root only (kernel.unprivileged_userns_clone is 0)",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == 1:
        return _message(
            "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )
    cause = f"{step}: {errno.errorcode.get(number, str(number))}"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return _message(
            f"this container forbids it ({cause})",
            "start it with: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined …",
        )
    return _message(f"the kernel refused a step ({cause})", "")


def _setting(name: str) -> int | None:
    try:
        return int(Path("/proc/sys", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _message(cause: str, remedy: str) -> str:
    lines = [f"Local sandboxes can't be isolated on this machine: {cause}."]
    if remedy:
        lines.append(f"  to isolate them:       {remedy}")
    lines.append("  to run without:        --agb-local-isolation=any  (commands then see this machine)")
    lines.append("  to use the AGB cloud:  set AGB_API_KEY")
    return "\n".join(lines)
