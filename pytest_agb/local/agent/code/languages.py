"""Which interpreter runs a language, and how it is started: forked for Python, else a program and our driver.

What is found is what the sandbox itself sees: its own search path, its own file system.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import dataclass

from pytest_agb.local.agent.code import python


class LanguageMissingError(Exception):
    """This machine can't run the language; the message says what it lacks."""


@dataclass(frozen=True)
class Program:
    """How a language's interpreter is found and called."""

    title: str
    names: tuple[str, ...]
    package: str
    driver: bytes
    #: Comes before the two descriptors. ``{source}`` is the driver's text, ``{file}`` a path to it.
    arguments: tuple[str, ...]

    def found(self, search_path: str) -> str:
        """Return the program's path.

        Raises:
            LanguageMissingError: it is not there.
        """
        for name in self.names:
            if path := shutil.which(name, path=search_path):
                return path
        raise LanguageMissingError(
            f"needs {self.title}, and there is no {' or '.join(self.names)} in {search_path}; "
            f"install it on this machine (Debian, Ubuntu: apt-get install {self.package})"
        )


def _driver(name: str) -> bytes:
    with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
        return file.read()


# Read now: the sandbox has no path to them.
_PROGRAMS = {
    "javascript": Program(
        "Node.js", ("node", "nodejs"), "nodejs", _driver("driver.js"), ("-e", "{source}", "--")
    ),
    "java": Program(
        "a Java development kit", ("java",), "default-jdk-headless", _driver("Driver.java"),
        # Short programs: a quick start is worth more than code that gets faster later.
        ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8",
         "-Dstderr.encoding=UTF-8", "--source", "11", "{file}"),
    ),
    "r": Program("R", ("Rscript",), "r-base-core", _driver("driver.R"), ("--vanilla", "-e", "{source}")),
}  # fmt: skip


def survey(search_path: str) -> dict[str, str]:
    """What there is for each language: the path of its interpreter, or what is missing, in words."""
    found = {"python": sys.executable}
    for language, program in _PROGRAMS.items():
        try:
            found[language] = program.found(search_path)
        except LanguageMissingError as error:
            found[language] = str(error)
    return found


@dataclass(frozen=True)
class Pipes:
    """The interpreter's ends of its pipes."""

    requests: int
    replies: int
    stdout: int
    stderr: int


def start(language: str, pipes: Pipes) -> int:
    """Start the interpreter of ``language`` as the leader of a new terminal session; return its process ID.

    Raises:
        LanguageMissingError: its program is not there.
        OSError: no process can be made.
    """
    path = "" if language == "python" else program(language).found(os.environ.get("PATH", ""))
    pid = os.fork()
    if pid == 0:
        if language == "python":
            python.main(pipes.requests, pipes.replies, pipes.stdout, pipes.stderr)
        _execute(path, program(language), pipes)
    return pid


def program(language: str) -> Program:
    """Return the program of a language other than Python."""
    return _PROGRAMS[language]


def _execute(path: str, program: Program, pipes: Pipes) -> None:
    """Become the program, in a process just forked."""
    try:
        os.setsid()  # a process group of its own, to be interrupted as a whole
        for received in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM):
            signal.signal(received, signal.SIG_DFL)
        values = {"{source}": program.driver.decode()}
        if "{file}" in program.arguments:
            values["{file}"] = f"/dev/fd/{_nameless_file(program.driver)}"
        null = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in ((null, 0), (pipes.stdout, 1), (pipes.stderr, 2)):
            os.dup2(descriptor, number)
        for descriptor in (pipes.requests, pipes.replies):
            os.set_inheritable(descriptor, True)
        arguments = [values.get(argument, argument) for argument in program.arguments]
        os.execv(path, [path, *arguments, str(pipes.requests), str(pipes.replies)])
    except OSError as error:
        os.write(2, f"{path}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _nameless_file(data: bytes) -> int:
    """Return the descriptor of a file with ``data`` that has no name any more: java wants to seek in it."""
    path = os.path.join(os.environ["TMPDIR"], f".driver-{os.getpid()}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)  # noqa: PTH108
    os.set_inheritable(descriptor, True)
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
