"""What can go wrong between us and the service, as a tree.

::

    AGBError
    ├── AuthenticationError        the service does not accept the key, for anything
    │   └── MissingKeyError        no key at all (also a ValueError)
    ├── PermissionDeniedError      not allowed, though nothing is wrong with the key as such
    ├── NotFoundError              no such session: deleted, released, or another account's
    │   └── ImageNotFoundError     a create was refused for its image
    ├── QuotaError                 the account has as many sessions as it may have
    │   └── BudgetError            the run has spent what it may (agb_budget_minutes)
    ├── ThrottledError             too many requests; wait and try again
    ├── AGBTimeoutError            no answer in time (also a TimeoutError)
    ├── SessionLostError           the sandbox was lost or the service failed: no verdict on what was tested
    │   ├── SessionGoneError       a session that was there is not any more (also a NotFoundError)
    │   ├── UnansweredError        a call to a session had no answer in time (also an AGBTimeoutError)
    │   └── UnavailableError       nothing answered, or the service answered 5xx
    ├── ProtocolError              an answer that is not the AGB API's: HTML, no JSON object
    ├── InvalidRequestError        what the caller gave can't be sent (also a ValueError)
    ├── RefusedError               the service said no, for a reason that is none of the above
    └── ToolError                  the call reached the sandbox and failed there
        ├── CommandFailed          a shell command ended with another exit status than 0
        └── ExecutionError         the program that was run ended with an error
"""

from __future__ import annotations

from typing import TypeVar

_Kind = TypeVar("_Kind", bound="AGBError")


class AGBError(Exception):
    """Anything that keeps a call from succeeding.

    ``maybe_executed`` says whether the service may have carried the request out although this error came
    back: a create that failed so may have left a session behind.
    """

    #: What to do, where the call itself knows nothing better.
    default_hint = ""

    def __init__(
        self,
        message: str,
        *,
        request_id: str = "",
        code: str = "",
        http_status: int | None = None,
        hint: str = "",
        retry_after: float | None = None,
        maybe_executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.code = code
        self.http_status = http_status
        self.hint = hint or self.default_hint
        #: Seconds that the service asked us to wait, where it did.
        self.retry_after = retry_after
        self.maybe_executed = maybe_executed

    def __str__(self) -> str:
        facts = [
            f"HTTP {self.http_status}" if self.http_status not in (None, 200) else "",
            f"code {self.code}" if self.code and self.code not in self.message else "",
            f"request ID {self.request_id}" if self.request_id else "",
        ]
        shown = ", ".join(fact for fact in facts if fact)
        text = f"{self.message} ({shown})" if shown else self.message
        return f"{text.rstrip('. ')}. {self.hint}" if self.hint else text

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments don't survive Exception's own pickling, and xdist may pickle us.
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))

    def as_kind(self, kind: type[_Kind]) -> _Kind:
        """The same error, of another kind."""
        return _rebuild(kind, self.message, dict(self.__dict__))

    @property
    def headline(self) -> str:
        """What happened, in one line without a hint: of a traceback the last one."""
        text = self.message.strip()
        return text.rpartition("\n")[2] if text.startswith("Traceback ") else text.partition("\n")[0]

    # The official SDK gives a failed run's `error` a name, a value and a traceback; ours reads the same
    # whatever failed.

    @property
    def name(self) -> str:
        """The error's kind, as the SDK's ``ExecutionError.name``."""
        return type(self).__name__

    @property
    def value(self) -> str:
        """The error's text, as the SDK's ``ExecutionError.value``."""
        return self.message

    @property
    def traceback(self) -> str:
        """The program's traceback, where there is one."""
        return ""


def _rebuild(cls: type[_Kind], message: str, state: dict[str, object]) -> _Kind:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class AuthenticationError(AGBError):
    """The service does not accept this key: a 401, or a code that says so. No other call will do better."""

    default_hint = "Check AGB_API_KEY and the account's state in the console, https://agb.cloud/console"


class MissingKeyError(AuthenticationError, ValueError):
    """There is no API key."""

    default_hint = (
        "Set AGB_API_KEY in the environment or in .env, or pass api_key=...; "
        "keys are made in the console, https://agb.cloud/console"
    )


class PermissionDeniedError(AGBError):
    """This is not allowed; other calls of the same key may be. Also a session's own token is refused so."""

    default_hint = "Check what AGB_API_KEY's account may do in the console, https://agb.cloud/console"


class NotFoundError(AGBError):
    """There is no such session (any more)."""

    default_hint = (
        "It was deleted, its idle timeout or maximum lifetime released it, or it is another account's"
    )


class ImageNotFoundError(NotFoundError):
    """The account has no such image."""

    default_hint = "The account's images are listed at https://agb.cloud/console/image-management"


class QuotaError(AGBError):
    """The account holds as many sessions as it may."""

    default_hint = (
        "Delete sessions that are not needed, use fewer at once, or have the account's limit raised"
    )


class BudgetError(QuotaError):
    """The run has spent the sandbox-minutes that it was given; the service had nothing against it."""

    default_hint = "Raise agb_budget_minutes, run fewer tests, or share sessions: --agb-scope, --agb-reuse"


class ThrottledError(AGBError):
    """Too many requests in a short time."""

    default_hint = "Wait a moment, then try again"


class AGBTimeoutError(AGBError, TimeoutError):
    """The answer did not come in time."""

    default_hint = "Allow more time (timeout=, AGB_TIMEOUT_MS) or check the network"


class SessionLostError(AGBError):
    """The sandbox was lost, or the service failed: what ran in it has not been shown right or wrong.

    A test that ends so is worth another try: ``--only-rerun SessionLostError`` of pytest-rerunfailures.
    """


class SessionGoneError(SessionLostError, NotFoundError):
    """The session ended under its user: expired, killed by a limit, or deleted by somebody else."""


class UnansweredError(SessionLostError, AGBTimeoutError):
    """A call to a session had no answer in time. A command's own timeout is none of these."""


class UnavailableError(SessionLostError):
    """Nothing answered, or the service said that it can't answer now."""

    default_hint = "Try again later; if it stays so, check AGB_ENDPOINT and the network"


class ProtocolError(AGBError):
    """Something answered, but not in the way the AGB API does."""

    default_hint = "Check that AGB_ENDPOINT is the AGB API and that no proxy or login page stands in between"


class InvalidRequestError(AGBError, ValueError):
    """What the caller gave can't be sent; no request went out."""


class RefusedError(AGBError):
    """The service understood and said no."""


class ToolError(AGBError):
    """A tool ran in the sandbox and failed."""


class CommandFailed(ToolError):  # noqa: N818  # what a test's summary line begins with: no "error" of ours
    """A shell command ended with an exit status other than 0.

    The message begins with a line that has that and the last line of stderr; where stderr has more lines,
    their last 1000 characters follow.
    """


class ExecutionError(ToolError):
    """The program that was run ended with an error of its own."""

    def __init__(
        self, message: str, *, name: str = "", value: str = "", traceback: str = "", request_id: str = ""
    ) -> None:
        super().__init__(message, request_id=request_id)
        self._name = name or "ExecutionError"
        self._value = value or message
        self._traceback = traceback

    @property
    def name(self) -> str:
        """The program's own name for it, ``NameError`` for example, or ``ExecutionError``."""
        return self._name

    @property
    def value(self) -> str:
        """The error's text, without the traceback where the service tells them apart."""
        return self._value

    @property
    def traceback(self) -> str:
        """The program's traceback as text, where the service gives one."""
        return self._traceback
