"""Makes a run that fails shorter, as long as it fails in the same way."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from soak.simulation import Act, Run
from soak.sometimes import Seen

#: Shorter runs that are tried.
TRIES = 100


def failure(seed: str, acts: Sequence[Act] | None = None) -> tuple[str, Run] | None:
    """How the run of ``seed`` fails, in the same words for the same failure; ``None`` if it does not."""
    with tempfile.TemporaryDirectory() as directory:
        run = Run(seed, Path(directory), Seen(), acts)
        try:
            run.play()
        except Exception as error:
            # IDs and figures in the words differ from run to run.
            words = "".join(letter for letter in str(error).partition("\n")[0] if letter.isalpha())
            return f"{type(error).__name__} {words[:20]}", run
        finally:
            run.close()
    return None


def shrink(seed: str) -> Run:
    """The shortest run that we find which fails as the one of ``seed`` does: half as long, a quarter, ..."""
    found = failure(seed)
    assert found is not None, f"run {seed} does not fail"
    same, run = found
    acts, piece, tries = list(run.acts), len(run.acts), 0
    while piece:
        start = 0
        while start < len(acts) and tries < TRIES:
            tries += 1
            without = acts[:start] + acts[start + piece :]
            again = failure(seed, without)
            if again is not None and again[0] == same:
                acts, run = without, again[1]
            else:
                start += piece
        piece //= 2
    return run
