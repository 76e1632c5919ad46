"""How to start a fresh interpreter that has our modules and nothing else of the caller."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent

# The parent package is a stand-in: its own code, and what it imports, has no business in a sandbox.
_CODE = """
import importlib, sys, types
package = types.ModuleType("pytest_agb")
package.__path__ = [{path!r}]
sys.modules["pytest_agb"] = package
module = importlib.import_module("pytest_agb.local.{module}")
module.{function}(*sys.argv[1:])
"""


def command(module: str, function: str, *arguments: str, site: bool) -> list[str]:
    """Return the command line that calls ``pytest_agb.local.<module>.<function>`` with string arguments.

    The interpreter is isolated (``-I``): no ``PYTHON*`` variable, no working directory on its path.
    ``site`` gives it the packages of this environment.
    """
    code = _CODE.format(path=str(_PACKAGE), module=module, function=function)
    flags = ["-I", "-X", "utf8"] + ([] if site else ["-S"])
    return [sys.executable, *flags, "-c", code, *arguments]


def environment() -> dict[str, str]:
    """Return the environment of such an interpreter: forked sandboxes show it in ``/proc/self/environ``."""
    # Where libpython itself is found through this, nothing starts without it.
    import os

    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if os.environ.get(name)}
    return {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", **kept}
