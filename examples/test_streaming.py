"""What code prints and shows can be had while it runs: a callback that raises ends the wait."""

from __future__ import annotations

import pytest

from pytest_agb import Session

TRAINING = """
for epoch in range(3):
    print(f"epoch {epoch}: loss {8 / 2 ** epoch:g}")
display({"text/markdown": "**done**"}, raw=True)
"""


def test_progress_is_heard_as_it_is_made(agb_session: Session) -> None:
    losses: list[str] = []

    result = agb_session.code.run(TRAINING, "python", on_stdout=losses.append).check()

    assert "".join(losses).splitlines()[-1] == "epoch 2: loss 2"
    assert result.results[0].markdown == "**done**"


def test_there_is_no_need_to_wait_for_the_end(agb_session: Session) -> None:
    def stop_when_good(text: str) -> None:
        assert "loss 4" not in text, "good enough"

    with pytest.raises(AssertionError, match="good enough"):
        agb_session.code.run(f"{TRAINING}\nimport time; time.sleep(60)", "python", on_stdout=stop_when_good)
