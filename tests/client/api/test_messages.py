"""What is taken out of texts before anybody reads them."""

from __future__ import annotations

from pytest_agb.client.api.messages import redact_envs


def test_a_variables_value_that_begins_as_another_does_leaves_no_end_of_it() -> None:
    envs = {"SHORT": "sesame-1", "LONG": "sesame-1234", "OTHER": "sesame-5678", "FLAG": "1"}

    assert redact_envs("sesame-1234 sesame-1 sesame-5678 1", envs) == (
        "[value of LONG] [value of SHORT] [value of OTHER] 1"
    )
    assert redact_envs("sesame-1", None) == "sesame-1"
