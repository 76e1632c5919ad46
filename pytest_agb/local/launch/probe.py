"""Find out whether this machine has sandboxes of a kind, by launching one.

A kernel, a container and a security module can each forbid a step, and only the step knows.
"""

# As light as the launcher: a test run may wait for it.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import socket
import sys

from pytest_agb.local import framing
from pytest_agb.local.isolation import landlock
from pytest_agb.local.launch.launcher import Inside, Launcher, failure
from pytest_agb.local.limits.rlimits import Limits


def main(isolation: str, directory: str) -> None:
    """Launch a sandbox, isolated by ``namespaces`` or ``landlock``, in an empty ``directory``.

    Prints what is held apart in it, by `landlock.held`'s words. Where a step fails, its error's number and
    its name are printed, and the exit status is 1.
    """

    def work(inside: Inside) -> None:
        held = landlock.held() if isolation == "landlock" else []
        inside.connection.sendall(framing.encode({"held": held}))

    root = directory if isolation == "namespaces" else None
    launcher = Launcher(isolation, network=False, root=root, limits=Limits(), work=work)
    ours, theirs = socket.socketpair()
    try:
        pid = launcher.start(theirs, os.path.join(directory, "probe"))
        theirs.close()
        told = framing.receive(ours, framing.Decoder())
        os.waitpid(pid, 0)
    except OSError as error:
        told = [failure(error)]
    if not told:
        sys.exit("the sandbox died without a word")
    (message,) = told
    if "failed" in message:
        print(message["errno"], message["step"])
        sys.exit(message["failed"])
    print(*message["held"])
