"""What the labels of a session say of its age, and what a sweep makes of that."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_agb import labels as label_rules
from pytest_agb.labels import RunLabels, expires_at
from pytest_agb.settings import CLOCK_SKEW_SECONDS, Settings
from pytest_agb.sweep.selection import FoundSession, Selection, Stay

NOW = 1_800_000_000
LIFETIMES = [60, 600, 1800, 86400, 999_999]
AGES = [0, 1, 59, 61, 599, 899, 901, 1801, 3599, 3601, 86_399, 86_401, 999_999]
LIMITS = [0.0, 1.0, 60.0, 900.0, 3600.0, 86_400.0]

#: No time, or none that a session of ours can have been created at.
GARBAGE = [
    "",
    " ",
    "soon",
    "0",
    "-1",
    "1",
    f"-{NOW}",
    f"+{NOW}",
    f" {NOW}",
    f"{NOW}\n",
    f"{NOW}.5",
    f"{NOW:_}",
    f"{NOW:e}",
    f"{NOW:x}",
    f"{NOW}000",
    f"{NOW}000000",
    "0000000001",
    "999999999",
    "9" * 5000,
    str(NOW // 60),
    "\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660",
    "\uff11\uff18\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff10",
    "\u00b2" * 10,
    "None",
    "nan",
    "True",
]
STAYS = Stay("it may still be in use")


def settings(max_lifetime: int, ci_run: str | None = None) -> Settings:
    return Settings(
        backend="cloud",
        run_id="run-1",
        images=(),
        labels={},
        scope="function",
        idle_timeout=120,
        local_isolation="auto",
        endpoint="",
        timeout_seconds=1.0,
        api_key=None,
        max_lifetime=max_lifetime,
        ci_run=ci_run,
    )


def written(max_lifetime: int, created_at: float, ci_run: str | None = None) -> dict[str, str]:
    """The labels that a run gives a session."""
    of_run = settings(max_lifetime, ci_run)
    return RunLabels.of_slot(of_run, "slot-1", created_at, expires_at(of_run, created_at)).write()


@dataclass
class Judge:
    older_than: float | None = None

    def __call__(self, labels: dict[str, str]) -> Stay | None:
        selection = Selection(older_than_seconds=self.older_than)
        return selection.reason_to_keep(FoundSession("session-1", RunLabels.read(labels)), NOW)


@pytest.mark.parametrize("max_lifetime", LIFETIMES)
@pytest.mark.parametrize("age", AGES)
def test_a_session_is_as_old_as_it_is_whatever_the_maximum_lifetime(max_lifetime: int, age: int) -> None:
    labels = written(max_lifetime, NOW - age)
    expired = age > max_lifetime + CLOCK_SKEW_SECONDS

    assert RunLabels.read(labels).age_seconds(NOW) == age
    assert Judge()(labels) == (None if expired else STAYS)
    for limit in LIMITS:
        assert Judge(limit)(labels) == (None if expired or age > limit else STAYS), limit


@pytest.mark.parametrize("max_lifetime", LIFETIMES)
@pytest.mark.parametrize("limit", LIMITS)
def test_without_the_label_only_the_expiry_counts(max_lifetime: int, limit: float) -> None:
    for age in AGES:
        labels = written(max_lifetime, NOW - age)
        del labels["agb_created"]
        expired = age > max_lifetime + CLOCK_SKEW_SECONDS

        assert RunLabels.read(labels).age_seconds(NOW) is None
        assert Judge()(labels) == (None if expired else STAYS)
        missing = Stay("its agb_created label is missing", undecided=True)
        assert Judge(limit)(labels) == (None if expired else missing)


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: ascii(text)[:20])
def test_garbage_makes_no_session_old(garbage: str) -> None:
    labels = {**written(1800, NOW - 100), "agb_created": garbage}

    assert RunLabels.read(labels).age_seconds(NOW) is None
    assert Judge()(labels) == STAYS
    for limit in LIMITS:
        assert Judge(limit)(labels) == Stay("its agb_created label can't be read", undecided=True)
    assert Judge()({**labels, "agb_expires": str(NOW - 1)}) is None  # which is judged by its expiry


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: ascii(text)[:20])
@pytest.mark.parametrize("limit", [None, *LIMITS])
def test_a_session_whose_expiry_nobody_can_read_stays(limit: float | None, garbage: str) -> None:
    labels = {**written(60, NOW - 100_000), "agb_expires": garbage}
    without = {key: value for key, value in labels.items() if key != "agb_expires"}

    assert Judge(limit)(labels) == Stay("its agb_expires label can't be read", undecided=True)
    assert Judge(limit)(without) == Stay("its agb_expires label is missing", undecided=True)


@pytest.mark.parametrize("ahead", [1, CLOCK_SKEW_SECONDS])
def test_a_clock_that_is_ahead_makes_a_session_new(ahead: int) -> None:
    labels = written(1800, NOW + ahead)

    assert RunLabels.read(labels).age_seconds(NOW) == 0
    for limit in LIMITS:
        assert Judge(limit)(labels) == STAYS


@pytest.mark.parametrize("ahead", [CLOCK_SKEW_SECONDS + 1, 10**9, 10**10])
def test_a_creation_that_is_still_to_come_tells_no_age(ahead: int) -> None:
    labels = written(1800, NOW + ahead)

    assert RunLabels.read(labels).age_seconds(NOW) is None
    for limit in LIMITS:
        assert Judge(limit)(labels) == Stay("its agb_created label is in the future", undecided=True)


@pytest.mark.parametrize("max_lifetime", LIFETIMES)
@pytest.mark.parametrize("ci_run", [None, "ci-1"])
def test_what_is_written_is_what_is_read(max_lifetime: int, ci_run: str | None) -> None:
    said = RunLabels("run-1", "slot-1", NOW, NOW + max_lifetime + CLOCK_SKEW_SECONDS, ci_run)

    labels = written(max_lifetime, NOW + 0.75, ci_run)

    assert RunLabels.read(labels) == said
    assert labels["agb_created"] == str(NOW)


def test_every_label_that_is_written_is_reserved_and_no_other() -> None:
    assert set(written(1800, NOW, "ci-1")) == label_rules.RESERVED
