"""GitHub Actions: a job's summary, and an annotation for what is left behind.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agb.dossier import text
from pytest_agb.plugin.outlets import user_properties

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pytest

#: A step may write 1 MiB, all its programs together.
_MOST_BYTES = 900_000
#: Before which the summary has room for another failure.
_RESERVE_BYTES = 1_000


def tell(path: str, failures: Sequence[pytest.TestReport], totals: Sequence[str], left: str) -> Iterator[str]:
    """Write the job's summary, and give the lines to print.

    Args:
        path: The file that ``GITHUB_STEP_SUMMARY`` names; empty where it names none.
        failures: The reports of the tests that failed.
        totals: Lines about the whole run.
        left: What the run leaves behind, and what to do about that; empty if nothing.
    """
    if path and (problem := write_summary(path, failures, totals)):
        yield f"agb: {problem}"
    if left:
        yield warning(left)


def write_summary(path: str, failures: Sequence[pytest.TestReport], totals: Sequence[str]) -> str:
    """Append to the summary of the job's step; return what went wrong, or nothing.

    Args:
        path: The file that ``GITHUB_STEP_SUMMARY`` names.
        failures: The reports of the tests that failed.
        totals: Lines about the whole run.
    """
    try:
        with Path(path).open("a", encoding="utf-8", errors="replace") as file:
            room = _MOST_BYTES - os.fstat(file.fileno()).st_size
            file.write("".join(_within(room, _parts(failures, totals))))
    except OSError as error:
        return f"the job summary could not be written: {error}"
    return ""


def _within(room: int, parts: Iterable[str]) -> Iterator[str]:
    left_out = 0
    for part in parts:
        size = len(part.encode("utf-8", "replace"))
        if size > room - _RESERVE_BYTES:
            left_out += 1
        else:
            room -= size
            yield part
    if left_out and room >= _RESERVE_BYTES:
        yield f"\n{left_out} more that had no room here are in the log.\n"


def _parts(failures: Sequence[pytest.TestReport], totals: Sequence[str]) -> Iterator[str]:
    lines = "".join(f"{html.escape(line)}\n" for line in totals)
    yield f"\n### AGB sessions\n\n<pre>\n{lines}</pre>\n"
    for report in failures:
        dossier = user_properties.dossier_of(report)
        if dossier is not None:
            title = f"{report.nodeid} ({dossier['phase']}): {dossier['verdict']}"
            yield _folded(title, text.render(dossier))


def _folded(title: str, content: str) -> str:
    runs = re.findall(r"`+", content)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    block = f"{fence}text\n{content}\n{fence}"
    return f"\n<details><summary>{html.escape(title)}</summary>\n\n{block}\n\n</details>\n"


def warning(message: str) -> str:
    """The command that annotates the job with a warning."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::warning title=pytest-agb::{escaped}"
