"""Run things as a user without privileges, whoever runs the tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys

import pytest

from support.local_server import environment

#: `env` is what starts Python: setpriv itself has root's right to open any directory.
_AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env")


@functools.cache
def ordinary_user() -> tuple[tuple[str, ...], str]:
    """A command prefix that makes an ordinary user of us, and a Python that such a user can run."""
    prefix: tuple[str, ...] = ()
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("no setpriv on this machine: root can't run the server as somebody else")
        prefix = _AS_NOBODY
    # Root's own interpreter may lie where nobody else can read it; the system's will do.
    for python in (sys.executable, "/usr/bin/python3"):
        tried = [*prefix, python, "-c", "import uvicorn, starlette, sys; assert sys.version_info >= (3, 10)"]
        if not subprocess.run(tried, env=environment(), capture_output=True).returncode:
            return prefix, python
    pytest.skip(f"an ordinary user can run neither {sys.executable} nor a python3 with the packages")
