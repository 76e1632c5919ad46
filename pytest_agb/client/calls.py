"""What was called in a session, and what came of it: told to a client's observer, call by call.

A call is kept as it came, which takes microseconds; it is read when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pytest_agb import real
from pytest_agb.client.api.messages import redact_envs
from pytest_agb.client.results import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pytest_agb.client.errors import AGBError


@dataclass(frozen=True, repr=False)
class Call:
    """A call of a tool in a session. Its ``repr`` shows no value of ``envs``; its fields show everything."""

    #: The session it was made in.
    session_id: str
    #: ``command``, ``code``, ``file``, or ``tool`` for any other.
    kind: str
    #: The service's own name for it: ``shell``, ``run_code``, ``read_file``, ``write_file`` ...
    tool: str
    #: All arguments as they were given, under the service's names. Nothing is masked.
    args: Mapping[str, Any]
    #: The part of the test that made it: ``setup``, ``call`` or ``teardown``. Fixtures and the project's
    #: hooks call in setup and teardown. Empty outside of a test.
    phase: str
    #: Seconds from the beginning of the test.
    began: float
    #: Seconds that it took.
    seconds: float
    #: Whether it did what it should: a command that ends with another exit status than 0 did not.
    success: bool
    #: Of a command; ``None`` for everything else, and where it never ran.
    exit_code: int | None
    #: What it printed, all of it, streamed or not.
    stdout: str
    stderr: str
    #: What went wrong, in words; empty if nothing did.
    error_message: str
    #: The same where the call itself failed, as it was raised.
    error: AGBError | None
    request_id: str

    @property
    def command(self) -> str:
        """A command's text; empty for everything else."""
        return str(self.args.get("command", "")) if self.kind == "command" else ""

    @property
    def code(self) -> str:
        """A program's text; empty for everything else."""
        return str(self.args.get("code", "")) if self.kind == "code" else ""

    @property
    def path(self) -> str:
        """The file or directory of a call of kind ``file``, of a move the source; else empty."""
        return str(self.args.get("path", self.args.get("source", ""))) if self.kind == "file" else ""

    def __repr__(self) -> str:
        what = self._masked(self.command or self.code or self.path)
        end = {} if self.exit_code is None else {"exit_code": self.exit_code}
        wrong = {"error_message": brief(self._masked(self.error_message))} if self.error_message else {}
        facts = {"kind": self.kind, "tool": self.tool, "what": brief(what, 80), **end, **wrong}
        return f"Call({', '.join(f'{key}={value!r}' for key, value in facts.items())})"

    def _masked(self, text: str) -> str:
        return redact_envs(text, self.args.get("envs"))


class Happened:
    """A call as it comes, told of at its end, however it ends.

    `pytest_agb.client.tools.call_reader` reads it.
    """

    __slots__ = (
        "_observer",
        "args",
        "at",
        "error",
        "phase",
        "read",
        "request_id",
        "seconds",
        "session_id",
        "streamed",
        "text",
        "tool",
    )

    def __init__(
        self, observer: Observer | None, session_id: str, tool: str, args: Mapping[str, Any]
    ) -> None:
        self._observer = observer
        self.session_id = session_id
        self.tool = tool
        #: Nobody changes them later: a copy here would be most of what a call's record costs.
        self.args = args
        #: As `real.boot_seconds`.
        self.at = real.boot_seconds()
        self.seconds = 0.0
        #: What the tool answered.
        self.text: str | None = None
        #: Of a streamed program, a `pytest_agb.client.tools.code_output.CodeOutput` that fills.
        self.streamed: Any = None
        self.error: BaseException | None = None
        self.request_id = ""
        #: Both for the observer: the part of a test that made it, and the call as it was read.
        self.phase = ""
        self.read: Call | None = None

    def __enter__(self) -> Self:
        return self

    def answered(self, text: str | None, request_id: str) -> None:
        """It was answered; the latest answer counts."""
        self.text, self.request_id = text, request_id

    def streams(self, output: object, request_id: str) -> None:
        """What it says is added to ``output``, as it comes."""
        self.streamed, self.request_id = output, request_id

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = real.boot_seconds() - self.at
        self.error = error
        if self._observer is not None:
            self._observer.ended(self)


class Observer(Protocol):
    """Who is told of all calls that a client's sessions make. Called in the thread that made one."""

    def ended(self, happened: Happened) -> None:
        """A call is over."""

    def learned(self, secret: str, name: str) -> None:
        """A call gave its caller what opens a session: it must not be shown, but as ``name``."""

    def calls(self, session_id: str) -> Sequence[Call]:
        """The calls in a session, of the test that runs now, the oldest first."""
