from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pytest_agb.dossier.masking import Mask


@pytest.fixture
def mask() -> Mask:
    mask = Mask()
    mask.learn("ako-0123456789", "API key")
    mask.learn_envs({"TOKEN": "sesame", "LONGER": "sesame-open", "FLAG": "1"})
    return mask


def test_a_secret_is_replaced_by_its_name_wherever_it_is(mask: Mask) -> None:
    shown = mask.value({"sesame": ["key ako-0123456789", {"deep": "xsesamex"}], "number": 1, "none": None})

    assert shown == {
        "[value of TOKEN]": ["key [API key]", {"deep": "x[value of TOKEN]x"}],
        "number": 1,
        "none": None,
    }


def test_one_that_is_a_part_of_another_leaves_nothing_of_that(mask: Mask) -> None:
    assert mask.text("sesame-open") == "[value of LONGER]"


@pytest.mark.parametrize("show", [str, repr, json.dumps], ids=["itself", "repr", "JSON"])
def test_one_of_many_lines_is_found_however_it_is_printed_and_cut(
    mask: Mask, show: Callable[[str], str]
) -> None:
    mask.learn_envs({"KEY": "-----BEGIN KEY-----\nline 'one' of it\nline \"two\" of it\n"})
    shown = show("-----BEGIN KEY-----\nline 'one' of it\nline \"two\" of it\n")

    assert "one" not in mask.text(shown)
    assert "two" not in mask.text('line "two" of it')


def test_of_envs_only_the_names_are_left_however_short_the_values(mask: Mask) -> None:
    assert mask.value({"envs": {"FLAG": "1", "NEW": "never-told"}}) == {
        "envs": {"FLAG": "<hidden>", "NEW": "<hidden>"}
    }
    assert mask.value({"envs": "not even a mapping"}) == {"envs": "<hidden>"}


def test_what_is_too_short_for_a_secret_is_not_blotted_out_of_other_texts(mask: Mask) -> None:
    assert mask.text("exit status 1") == "exit status 1"


@pytest.mark.parametrize("name", ["token", "authCode", "access_token", "ticket", "api_key", "Signature"])
def test_what_opens_a_url_is_hidden(mask: Mask, name: str) -> None:
    assert (
        mask.text(f"curl 'https://x/y?a=1&{name}=open-it&b=2'")
        == f"curl 'https://x/y?a=1&{name}=<hidden>&b=2'"
    )


def test_it_shows_nothing_of_what_it_knows(mask: Mask) -> None:
    assert "sesame" not in f"{mask!r} {vars(mask)!r}"
