"""Start a process in a sandbox: all the way from a fork to the moment at which its work begins.

There is no other way in. The agents of the fork server go it, and so does the probe (`launch.probe`), which
tells whether this machine lets them: what the probe says is what a launch does.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH102, PTH118

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_agb.local import framing, syscalls
from pytest_agb.local.agent.paths import Place
from pytest_agb.local.isolation import host, landlock, namespaces
from pytest_agb.local.limits import usage
from pytest_agb.local.limits.rlimits import Limits, count_against, set_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_agb.local.limits.cgroup import Cgroup, OutOfMemory

#: Seconds that a new process may take to leave the host's namespaces.
_UNSHARE_SECONDS = 10.0
#: Everything that a process in a sandbox finds in its environment; the paths differ by isolation.
_ENVIRONMENT = {"LANG": "C.UTF-8", "TERM": "dumb", "USER": "user", "LOGNAME": "user", "SHELL": "/bin/bash"}


@dataclass(frozen=True)
class Inside:
    """What the first process of a sandbox has when its work begins."""

    #: The sandbox's end of the socket that `Launcher.start` was given.
    connection: socket.socket
    place: Place
    #: Whether signals from here reach only this process and those it starts.
    alone: bool
    #: What the kernel does in the sandbox's cgroup, if it has one.
    out_of_memory: OutOfMemory | None


class Launcher:
    """Starts sandboxes that are all isolated in one way. The calling process adopts what they leave behind.

    ``isolation`` is ``namespaces``, ``landlock`` or ``none``; with namespaces ``root`` is an empty directory,
    where each sandbox mounts its own root. ``work`` is called in the new process; when it returns, that ends.
    """

    def __init__(
        self,
        isolation: str,
        *,
        network: bool,
        root: str | None,
        limits: Limits,
        work: Callable[[Inside], object],
    ) -> None:
        self._isolation = isolation
        self._network = network
        self._root = root
        self._limits = limits
        self._work = work
        self._shown = host.python_prefixes() + (host.resolver_file() if network else [])
        self._readable = landlock.readable(self._shown) if isolation == "landlock" else []
        self._uid, self._gid = os.getuid(), os.getgid()
        if sys.platform.startswith("linux"):
            syscalls.adopt_orphans()

    def start(self, connection: socket.socket, directory: str, group: Cgroup | None = None) -> int:
        """Start one; return the ID of its first process, a child of this one.

        Without namespaces its files are in ``directory``, which is made. What fails in the new process is
        told through ``connection``, by `failure`.

        Raises:
            OSError: a step failed before there was such a process.
        """
        if self._isolation == "namespaces":
            return self._start_in_namespaces(connection, group)
        for folder in (directory, os.path.join(directory, "home"), os.path.join(directory, "tmp")):
            os.mkdir(folder, 0o700)
        pid = os.fork()
        if pid == 0:
            with _for_good(lambda error: _tell(connection, error)):
                self._begin(connection, directory, _enter_group(group))
        return pid

    # ------------------------------------------------------------------ namespaces

    def _start_in_namespaces(self, connection: socket.socket, group: Cgroup | None) -> int:
        """Fork a helper that enters the namespaces and forks the sandbox's process 1; return the pid of that.

        The helper leaves at once, and its child becomes ours. Only then may that ask to die with its parent:
        the helper's end is an end of a parent, too.
        """
        report_read, report_write = os.pipe()
        mapped_read, mapped_write = os.pipe()
        helper = os.fork()
        if helper == 0:
            with _for_good(lambda error: os.write(report_write, _report_line(error))):
                os.close(report_read)
                os.close(mapped_write)
                self._unshare(connection, report_write, mapped_read, group)
        os.close(report_write)
        os.close(mapped_read)
        try:
            _expect(report_read, "unshare")
            namespaces.write_id_maps(helper, self._uid, self._gid)
            os.write(mapped_write, b"m")
            pid = int(_expect(report_read, "set-up"))
            os.waitpid(helper, 0)
            os.write(mapped_write, b"o")  # an orphan now, and adopted by us
            return pid
        except OSError:
            with contextlib.suppress(OSError):
                os.kill(helper, signal.SIGKILL)
            raise
        finally:
            os.close(report_read)
            os.close(mapped_write)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(helper, 0)

    def _unshare(self, connection: socket.socket, report: int, mapped: int, group: Cgroup | None) -> None:
        """Be the helper, until it has forked process 1."""
        assert self._root is not None
        out_of_memory = _enter_group(group)
        namespaces.unshare(network=self._network)
        os.write(report, b"ok\n")
        _wait_for(mapped)
        namespaces.build_root(self._root, self._shown, self._limits)
        if not self._network:
            namespaces.loopback_up()
        socket.sethostname("agb-local")
        pid = os.fork()
        if pid:
            os.write(report, f"ok {pid}\n".encode())
            return
        with _for_good(lambda error: _tell(connection, error)):
            os.close(report)
            _wait_for(mapped)
            namespaces.enter_root(self._root)
            namespaces.drop_privileges()
            syscalls.die_with_parent()
            self._begin(connection, None, out_of_memory)

    # ------------------------------------------------------------------ inside

    def _begin(
        self, connection: socket.socket, directory: str | None, out_of_memory: OutOfMemory | None
    ) -> None:
        """Finish what every sandbox has in common, and work. ``directory`` is ``None`` in namespaces."""
        _forget_the_launcher(connection, out_of_memory)
        if out_of_memory is not None:
            out_of_memory.become_agent()  # Landlock would not let it
        set_limits(self._limits, own_user_namespace=directory is None)
        alone = directory is None
        if directory is not None and self._isolation == "landlock":
            alone = landlock.confine(directory, self._readable, network=self._network)
            others = usage.tasks_of(self._uid) if os.getuid() == self._uid else 0
            count_against(self._limits, others)
        if sys.platform.startswith("linux"):
            syscalls.set_dumpable(False)
            if directory is not None:
                syscalls.adopt_orphans()
        place = Place(directory, namespaces.HOME, self._readable)
        os.environ.clear()
        os.environ.update(_ENVIRONMENT)
        os.environ.update(HOME=place.home, TMPDIR=place.temporary, PWD=place.home)
        os.environ["PATH"] = _search_path(directory)
        os.umask(0o022)
        os.chdir(place.home)
        self._work(Inside(connection, place, alone, out_of_memory))


def languages() -> dict[str, str]:
    """What there is for each language, as sandboxes of this machine find it: a path, or what is missing."""
    from pytest_agb.local.agent.code.languages import survey

    return survey(_search_path(None))


def failure(error: BaseException) -> dict[str, Any]:
    """Return what is told of a launch that failed: in words, and by step and error number (0: none)."""
    if not isinstance(error, OSError):
        return {"failed": f"{type(error).__name__}: {error}", "step": type(error).__name__, "errno": 0}
    step = error.step if isinstance(error, syscalls.StepError) else (error.filename or "set-up")
    return {"failed": f"{step}: {error.strerror or error}", "step": str(step), "errno": error.errno or 0}


def _tell(connection: socket.socket, error: BaseException) -> None:
    connection.sendall(framing.encode(failure(error)))


@contextlib.contextmanager
def _for_good(tell: Callable[[BaseException], object]) -> Iterator[None]:
    """What is done in here is the rest of this process: nothing may return into the loop that forked it."""
    status = 1
    try:
        yield
        status = 0
    except BaseException as error:
        with contextlib.suppress(Exception):
            tell(error)
    finally:
        os._exit(status)


def _report_line(error: BaseException) -> bytes:
    told = failure(error)
    return f"{told['errno']} {told['step']}\n".encode()


def _expect(report: int, step: str) -> str:
    """Read the helper's next report: a line that starts with ``ok``, or an error number and a step."""
    if not select.select([report], [], [], _UNSHARE_SECONDS)[0]:
        raise syscalls.StepError(f"{step} took too long", errno.ETIMEDOUT)
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(report, 1)
        if not piece:
            raise syscalls.StepError(f"{step}: the process died", errno.ECHILD)
        line += piece
    word, _, rest = line.decode().strip().partition(" ")
    if word != "ok":
        raise syscalls.StepError(rest, int(word))
    return rest


def _wait_for(go: int) -> None:
    """Wait for the launcher's word to go on. Without it there is no launcher, nor anybody to tell."""
    if not os.read(go, 1):
        os._exit(1)


def _enter_group(group: Cgroup | None) -> OutOfMemory | None:
    """Enter the sandbox's cgroup, if there is one. Without, the agent sees to the limits."""
    try:
        return None if group is None else group.enter()
    except OSError as error:
        print(f"pytest-agb: a cgroup can't be entered: {error}", file=sys.stderr, flush=True)
        return None


def _forget_the_launcher(connection: socket.socket, out_of_memory: OutOfMemory | None) -> None:
    """Give up what was inherited: signal handlers, terminal session, descriptors."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    connection.set_inheritable(False)
    kept = {connection.fileno()} if out_of_memory is None else {connection.fileno(), out_of_memory.descriptor}
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 1 << 16)


def _search_path(directory: str | None) -> str:
    standard = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if directory is not None and sys.platform == "darwin":
        standard = f"/opt/homebrew/bin:{standard}"
    return f"{os.path.join(sys.prefix, 'bin')}:{standard}"
