"""httpx in a copy of our own, which no mock of it reaches.

Tests mock httpx by replacing attributes of its classes, or of httpcore's below it:
``HTTPTransport.handle_request`` (pytest-httpx, vcrpy), ``ConnectionPool.handle_request`` (respx),
``Client.send``. What they mean is the code under test; our calls would be refused, answered by a recording
or counted. Subclasses of our own still have mocked classes above or below them, so both packages are executed
once more: nobody else has these classes.

The copies are all loaded at once, since a fake file system may be in place later. They are not in
``sys.modules``, which tests change and restore as well; their own imports come here instead.
"""

from __future__ import annotations

import builtins
import codecs
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import time
import types
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What is copied.
_PACKAGES = frozenset({"httpx", "httpcore"})

#: What httpx goes without where it is not installed, as we do: its command line, what makes it asynchronous,
#: HTTP/2. To import them would take longer than all else here. And codings by which a few bytes of an answer
#: become gigabytes at once, where gzip makes a thousand times as many at the most.
_LEFT_OUT = frozenset({"anyio", "brotli", "brotlicffi", "click", "h2", "trio", "zstandard"})


def _monotonic(
    clock_gettime: Callable[[int], float] = time.clock_gettime, clock: int = time.CLOCK_MONOTONIC
) -> float:
    return clock_gettime(clock)


class _Copies:
    """Modules by the names of those that they are copies of."""

    def __init__(self) -> None:
        self._modules: dict[str, types.ModuleType] = {}
        self._loading = threading.RLock()
        # The age of an idle connection is read from it, and tests freeze the functions of `time`.
        self._time = types.ModuleType("time")
        vars(self._time).update(vars(time) | {"monotonic": _monotonic, "perf_counter": _monotonic})
        # An import statement calls the `__import__` of its module's builtins.
        self._builtins = {**vars(builtins), "__import__": self._import}

    def load(self, name: str) -> types.ModuleType:
        """The copy of module ``name``, with the packages around it.

        Raises:
            ModuleNotFoundError: there is no such module.
        """
        with self._loading:
            package, _, child = name.rpartition(".")
            path = self.load(package).__path__ if package else None
            if name in self._modules:
                return self._modules[name]
            spec = _find(name, path)
            module = self._modules[name] = importlib.util.module_from_spec(spec)
            module.__dict__["__builtins__"] = self._builtins
            try:
                exec(cast("importlib.abc.InspectLoader", spec.loader).get_code(name) or "", vars(module))
            except BaseException:
                del self._modules[name]
                raise
            if package:
                setattr(self._modules[package], child, module)
            return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        full = name
        if level and globals is not None:
            full = importlib.util.resolve_name("." * level + name, globals["__package__"])
        package = full.partition(".")[0]
        if full == "time":
            return self._time
        if package in _LEFT_OUT:
            raise ModuleNotFoundError(f"not for pytest-agb: {full}", name=full)
        if package not in _PACKAGES:
            return importlib.__import__(name, globals, locals, fromlist or (), level)
        module = self.load(full)
        for child in fromlist or ():
            if child != "*" and not hasattr(module, child):
                self.load(f"{full}.{child}")
        return module if fromlist or level else self.load(package)


def _find(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec:
    # Not `importlib.util.find_spec`: it would answer by what a test has put into `sys.modules`.
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            return spec
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if TYPE_CHECKING:
    import httpcore as httpcore
    import httpx as httpx
else:
    codecs.lookup("idna")  # a socket would do that with the first host's name, and import it
    _copies = _Copies()
    httpcore = _copies.load("httpcore")  # httpx itself would import it with the first client
    httpx = _copies.load("httpx")
