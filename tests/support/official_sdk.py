"""What tests share that drive the official SDK: what its results tell, and callbacks that take note."""

from __future__ import annotations

from typing import Any

#: Formats of a result, as both clients name them.
FORMATS = ("text", "html", "markdown", "png", "jpeg", "svg", "json", "latex", "chart", "is_main_result")
#: Python that goes on when a file is there: what is streamed before has then really arrived before.
WAIT = "\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"


def told(result: Any) -> dict[str, Any]:
    """All that a client, the SDK's or ours, tells of a piece of code, but for its time."""
    return {
        "success": result.success,
        "error_message": result.error_message,
        "error": result.error and (result.error.name, result.error.value, result.error.traceback),
        "execution_count": result.execution_count,
        "stdout": result.logs.stdout,
        "stderr": result.logs.stderr,
        "results": [{name: getattr(item, name) for name in FORMATS} for item in result.results],
        "result": result.result,
    }


class Heard:
    """What the callbacks were told."""

    def __init__(self) -> None:
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self.errors: list[Any] = []

    def run(self, session: Any, code: str, language: str = "python", timeout_s: int = 60) -> Any:
        """Have the SDK's ``session`` stream a program."""
        return session.code.run(
            code, language, timeout_s=timeout_s, stream_beta=True,
            on_stdout=self.stdout.append, on_stderr=self.stderr.append, on_error=self.errors.append,
        )  # fmt: skip
